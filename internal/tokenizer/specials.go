package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/strictjson"
)

// namedTokens are the keys of special tokens in the order in which transformers adds the tokens.
var namedTokens = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// specialNames are the special tokens that tokenizer_config.json and special_tokens_map.json name.
type specialNames struct {
	named map[string]token                // by key, custom keys such as "image_token" included
	nulls map[string]modelfolder.Settings // by key: the file that sets the token to null
	extra []token

	emptyIsNone bool // an empty token counts as null; otherwise it is an error
}

const (
	extraKey      = "extra_special_tokens"
	additionalKey = "additional_special_tokens" // its older name
)

// readSpecialNames follows transformers 5: special_tokens_map.json wins.
func readSpecialNames(config, specialsMap modelfolder.Settings, emptyIsNone bool) (specialNames, error) {
	s := specialNames{
		named: map[string]token{}, nulls: map[string]modelfolder.Settings{}, emptyIsNone: emptyIsNone,
	}
	for _, file := range []modelfolder.Settings{config, specialsMap} {
		for _, key := range file.Keys() {
			if strings.HasSuffix(key, "_token") && (isToken(file.Raw(key)) || slices.Contains(namedTokens, key)) {
				if err := s.readNamed(file, key); err != nil {
					return s, err
				}
			}
		}
	}
	if err := s.readObject(config, extraKey); err != nil {
		return s, err
	}
	if !s.hasOwnPurpose() {
		if err := s.readObject(config, "model_specific_special_tokens"); err != nil {
			return s, err
		}
	}
	key := extraKey
	if !hasMembers(config.Raw(key)) {
		key = additionalKey
	}
	if err := s.readList(config, key, false); err != nil {
		return s, err
	}
	if isObject(specialsMap.Raw(extraKey)) { // it replaces the list
		s.extra = nil
		return s, s.readObject(specialsMap, extraKey)
	}
	if err := s.readList(specialsMap, extraKey, true); err != nil || len(s.extra) > 0 {
		return s, err
	}
	return s, s.readList(specialsMap, additionalKey, true)
}

// hasOwnPurpose says whether there is a token with a custom key.
func (s *specialNames) hasOwnPurpose() bool {
	for key := range s.named {
		if !slices.Contains(namedTokens, key) {
			return true
		}
	}
	return false
}

func hasMembers(raw json.RawMessage) bool {
	text := strings.Join(strings.Fields(string(raw)), "")
	return text != "" && text != "null" && text != "[]" && text != "{}"
}

func isObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }

// isToken says whether a member is a token rather than a switch like add_bos_token or a null.
func isToken(raw json.RawMessage) bool { return len(raw) > 0 && (raw[0] == '"' || raw[0] == '{') }

// readNamed reads a token: a string, or an object with the member content. Null means none.
func (s *specialNames) readNamed(file modelfolder.Settings, key string) error {
	token := token{source: sourceOf(file, key)}
	var isSet bool
	var err error
	if isObject(file.Raw(key)) {
		isSet, err = file.Get(key, &token)
	} else {
		isSet, err = file.Get(key, &token.Content)
	}
	if err != nil {
		return err
	}
	if isSet && token.Content == "" && !s.emptyIsNone {
		return file.Errorf(key, "has no content")
	}
	isSet = token.Content != ""
	token.Special = true
	if !isSet {
		delete(s.named, key)
		s.nulls[key] = file
		return nil
	}
	s.named[key] = token
	delete(s.nulls, key)
	return nil
}

func sourceOf(file modelfolder.Settings, key string) string {
	return key + " of " + filepath.Base(file.String())
}

// readObject reads a member that is an object of tokens by name.
func (s *specialNames) readObject(file modelfolder.Settings, key string) error {
	if !isObject(file.Raw(key)) {
		return nil
	}
	own, err := file.Object(key)
	if err != nil {
		return err
	}
	for _, name := range own.Keys() {
		if err := s.readNamed(own, name); err != nil {
			return err
		}
		if token, ok := s.named[name]; ok {
			token.source = sourceOf(file, key)
			s.named[name] = token
		}
	}
	return nil
}

// readList reads a member that is a list of tokens, each a string or an object.
func (s *specialNames) readList(file modelfolder.Settings, key string, special bool) error {
	if !file.IsSet(key) || isObject(file.Raw(key)) {
		return nil
	}
	var list []json.RawMessage
	if _, err := file.Get(key, &list); err != nil {
		return err
	}
	for i, raw := range list {
		one := token{source: sourceOf(file, key)}
		var err error
		if isObject(raw) {
			err = strictjson.Unmarshal(raw, &one)
			one.Special = one.Special || special
		} else {
			err = strictjson.Unmarshal(raw, &one.Content)
			one.Special = true
		}
		if err == nil && one.Content == "" {
			err = errors.New("no content")
		}
		if err != nil {
			return file.Errorf(key, "[%d]: %w", i, err)
		}
		if !slices.ContainsFunc(s.extra, func(other token) bool { return other.Content == one.Content }) {
			s.extra = append(s.extra, one)
		}
	}
	return nil
}

// list returns the tokens in the order in which transformers adds the tokens.
func (s specialNames) list() []token {
	var all []token
	keys := slices.Clone(namedTokens)
	for _, key := range slices.Sorted(maps.Keys(s.named)) {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if token, ok := s.named[key]; ok {
			all = append(all, token)
		}
	}
	return append(all, s.extra...)
}

// readDecoder reads added_tokens_decoder, sorted by id.
func readDecoder(config modelfolder.Settings) ([]token, error) {
	decoder, err := config.Object("added_tokens_decoder")
	if err != nil {
		return nil, err
	}
	tokens := make([]token, 0, decoder.Len())
	for _, key := range decoder.Keys() {
		id, err := strconv.ParseInt(strings.TrimSpace(key), 10, 64)
		if err != nil {
			return nil, decoder.Errorf(key, "is not an id")
		}
		token := token{source: "added_tokens_decoder of " + filepath.Base(config.String())}
		if ok, err := decoder.Get(key, &token); err != nil || !ok {
			return nil, errors.Join(decoder.Errorf(key, "is not a token"), err)
		}
		token.ID = id
		tokens = append(tokens, token)
	}
	slices.SortFunc(tokens, func(a, b token) int { return cmp.Compare(a.ID, b.ID) })
	return tokens, nil
}

// readAddedTokens reads added_tokens.json, ids by token, sorted by id.
func readAddedTokens(added modelfolder.Settings, names specialNames) ([]token, error) {
	special := map[string]bool{}
	for _, token := range names.list() {
		special[token.Content] = true
	}
	var tokens []token
	for _, content := range added.Keys() {
		token := token{Content: content, Special: special[content], source: addedTokensFile}
		if ok, err := added.Get(content, &token.ID); err != nil || !ok {
			return nil, errors.Join(added.Errorf(content, "has no id"), err)
		}
		tokens = append(tokens, token)
	}
	slices.SortStableFunc(tokens, func(a, b token) int { return cmp.Compare(a.ID, b.ID) })
	for i, token := range tokens[min(1, len(tokens)):] {
		if before := tokens[i]; before.ID == token.ID {
			return nil, added.Errorf(token.Content, "has id %d, as %q has", token.ID, before.Content)
		}
	}
	return tokens, nil
}

func sortByID(tokens []token) {
	slices.SortFunc(tokens, func(a, b token) int { return cmp.Compare(a.ID, b.ID) })
}

// without returns the names without a key.
func (s specialNames) without(key string) specialNames {
	s.named = maps.Clone(s.named)
	delete(s.named, key)
	return s
}

// with returns the names with default tokens for the keys that no file sets, not even to null.
func (s specialNames) with(usual map[string]string) specialNames {
	s.named = maps.Clone(s.named)
	for key, content := range usual {
		_, isNull := s.nulls[key]
		if _, ok := s.named[key]; !ok && !isNull {
			s.named[key] = token{Content: content, Special: true}
		}
	}
	return s
}
