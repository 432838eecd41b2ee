package modelfolder

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/strictjson"
)

// Settings are the members of one JSON object in a file of a model folder. The zero value has none.
type Settings struct {
	where   string // the file, and the keys that lead to the object
	members map[string]json.RawMessage
}

// Read reads a file that holds one object.
func Read(path string) (Settings, error) {
	s := Settings{where: path}
	if err := jsonfile.Read(path, &s.members); err != nil {
		return Settings{}, err
	}
	if s.members == nil {
		return Settings{}, fmt.Errorf("%s: null is not an object", path)
	}
	return s, nil
}

// ReadOptional is Read, but returns no members if the file does not exist.
func ReadOptional(path string) (Settings, error) {
	s, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{where: path}, nil
	}
	return s, err
}

// Parse reads an object; where names it in errors.
func Parse(where string, raw []byte) (Settings, error) {
	s := Settings{where: where}
	if err := jsonfile.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &s.members); err != nil {
		return Settings{}, fmt.Errorf("%s: %w", where, err)
	}
	return s, nil
}

// Len returns the number of members.
func (s Settings) Len() int { return len(s.members) }

// Keys returns the members' keys, sorted.
func (s Settings) Keys() []string { return slices.Sorted(maps.Keys(s.members)) }

// Has says whether the object has a member, which may be null.
func (s Settings) Has(key string) bool { _, ok := s.members[key]; return ok }

// IsSet says whether the object has a member that is not null.
func (s Settings) IsSet(key string) bool { return s.Has(key) && !isNull(s.members[key]) }

// Raw returns the JSON of a member; nil if there is none.
func (s Settings) Raw(key string) json.RawMessage { return s.members[key] }

// Get reads a member into v, and returns [Settings.IsSet].
func (s Settings) Get(key string, v any) (bool, error) {
	if !s.IsSet(key) {
		return false, nil
	}
	if err := strictjson.Unmarshal(s.members[key], v); err != nil {
		return false, fmt.Errorf("%s: %s: %w", s.where, key, err)
	}
	return true, nil
}

// Object returns the object that a member holds, empty if the member is missing or null.
func (s Settings) Object(key string) (Settings, error) {
	inner := Settings{where: s.where + ": " + key}
	_, err := s.Get(key, &inner.members)
	return inner, err
}

// Without returns the settings without some members.
func (s Settings) Without(keys ...string) Settings {
	members := maps.Clone(s.members)
	for _, key := range keys {
		delete(members, key)
	}
	return Settings{where: s.where, members: members}
}

// With returns the settings with the members of other, which override their own.
func (s Settings) With(other Settings) Settings {
	members := maps.Clone(s.members)
	if members == nil {
		members = map[string]json.RawMessage{}
	}
	maps.Copy(members, other.members)
	return Settings{where: s.where, members: members}
}

// Errorf is an error about a member, named by file and key.
func (s Settings) Errorf(key, format string, args ...any) error {
	return fmt.Errorf("%s: %s "+format, slices.Concat([]any{s.where, key}, args)...)
}

// String returns the file, and the keys that lead to the object.
func (s Settings) String() string { return s.where }

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// Refusal is a key that is refused unless it is null or has one of the values of OK, each as JSON.
type Refusal struct {
	Key     string
	OK      []string
	NotNull bool   // null is refused too
	Remedy  string // what to do, as the end of a sentence
}

// Schema lists the known keys of an object.
type Schema struct {
	Read     []string // keys that the caller reads
	Harmless []string // keys that change no result
	Refused  []Refusal
	// Unknown is what to do about any other key, as the end of a sentence.
	Unknown string
	// Open says that the programs that define the file ignore any other key: Check returns the key instead of refusing it.
	Open bool
}

// Check returns an error for the first refused key in alphabetical order, and the unknown keys of an open schema.
func (c Schema) Check(s Settings) (unknown []string, err error) {
	for _, key := range s.Keys() {
		if at := slices.IndexFunc(c.Refused, func(r Refusal) bool { return r.Key == key }); at >= 0 {
			if err := c.Refused[at].check(s); err != nil {
				return nil, err
			}
			continue
		}
		if slices.Contains(c.Read, key) || slices.Contains(c.Harmless, key) {
			continue
		}
		if !c.Open {
			return nil, s.Errorf(key, "is not supported here; %s", cmp.Or(c.Unknown, "remove it if it changes nothing"))
		}
		unknown = append(unknown, key)
	}
	return unknown, nil
}

func (r Refusal) check(s Settings) error {
	raw := s.Raw(r.Key)
	if isNull(raw) && !r.NotNull || slices.ContainsFunc(r.OK, func(ok string) bool { return equal(raw, []byte(ok)) }) {
		return nil
	}
	text := string(compact(raw))
	if len(text) > mostShown {
		text = strings.ToValidUTF8(text[:mostShown], "") + "..."
	}
	return s.Errorf(r.Key, "is %s, which is not supported; %s", text, r.Remedy)
}

const mostShown = 100

func equal(a, b []byte) bool { return bytes.Equal(compact(a), compact(b)) }

// compact normalises the spaces, escapes and order of keys of JSON.
func compact(raw []byte) []byte {
	var v any
	if err := strictjson.Unmarshal(raw, &v); err != nil {
		return raw
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return raw
	}
	return bytes.TrimSpace(b.Bytes())
}

// UnknownNote is the note about the unknown keys of a file.
func UnknownNote(s Settings, keys []string) string {
	return fmt.Sprintf("%s: the keys %q are unknown and ignored", s, keys)
}
