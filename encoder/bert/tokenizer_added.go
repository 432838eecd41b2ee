package bert

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/strictjson"
)

// jsonToken is a token of the list added_tokens, or of special_tokens_map.json or tokenizer_config.json.
type jsonToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Normalized *bool  `json:"normalized"` // left out: where it is not special
	Special    bool   `json:"special"`

	source string // what names it, for errors
}

func (t jsonToken) normalized() bool { return valueOr(t.Normalized, !t.Special) }

// namedTokens are the keys of special tokens in the order in which transformers adds the tokens.
var namedTokens = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// specialNames are the special tokens that tokenizer_config.json and special_tokens_map.json name.
type specialNames struct {
	named map[string]jsonToken            // by key; one for another purpose too, "image_token"
	nulls map[string]modelfolder.Settings // the files that give null as a key's token
	extra []jsonToken
}

const (
	extraKey      = "extra_special_tokens"
	additionalKey = "additional_special_tokens" // its older name
)

// readSpecialNames takes what transformers 5 takes: special_tokens_map.json wins.
func readSpecialNames(config, specialsMap modelfolder.Settings) (specialNames, error) {
	s := specialNames{named: map[string]jsonToken{}, nulls: map[string]modelfolder.Settings{}}
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
	if isObject(specialsMap.Raw(extraKey)) { // it takes the place of the list
		s.extra = nil
		return s, s.readObject(specialsMap, extraKey)
	}
	if err := s.readList(specialsMap, extraKey, true); err != nil || len(s.extra) > 0 {
		return s, err
	}
	return s, s.readList(specialsMap, additionalKey, true)
}

// hasOwnPurpose says whether a token is named for a purpose that not every model has.
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

// readNamed reads a token: a string, or an object with the member content. Null is none.
func (s *specialNames) readNamed(file modelfolder.Settings, key string) error {
	token := jsonToken{source: sourceOf(file, key)}
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
	if isSet && token.Content == "" {
		return file.Errorf(key, "has no content")
	}
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

// readObject reads an object of tokens by name, where the member is one.
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

// readList reads a list of tokens without a name, each a string or an object.
func (s *specialNames) readList(file modelfolder.Settings, key string, special bool) error {
	if !file.IsSet(key) || isObject(file.Raw(key)) {
		return nil
	}
	var list []json.RawMessage
	if _, err := file.Get(key, &list); err != nil {
		return err
	}
	for i, raw := range list {
		token := jsonToken{source: sourceOf(file, key)}
		var err error
		if isObject(raw) {
			err = strictjson.Unmarshal(raw, &token)
			token.Special = token.Special || special
		} else {
			err = strictjson.Unmarshal(raw, &token.Content)
			token.Special = true
		}
		if err == nil && token.Content == "" {
			err = errors.New("no content")
		}
		if err != nil {
			return file.Errorf(key, "[%d]: %w", i, err)
		}
		if !slices.ContainsFunc(s.extra, func(other jsonToken) bool { return other.Content == token.Content }) {
			s.extra = append(s.extra, token)
		}
	}
	return nil
}

// list returns the tokens in the order in which transformers adds the tokens.
func (s specialNames) list() []jsonToken {
	var all []jsonToken
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

// readDecoder reads added_tokens_decoder, sorted by the ids that it gives.
func readDecoder(config modelfolder.Settings) ([]jsonToken, error) {
	decoder, err := config.Object("added_tokens_decoder")
	if err != nil {
		return nil, err
	}
	tokens := make([]jsonToken, 0, decoder.Len())
	for _, key := range decoder.Keys() {
		id, err := strconv.Atoi(strings.TrimSpace(key))
		if err != nil {
			return nil, decoder.Errorf(key, "is not an id")
		}
		token := jsonToken{source: "added_tokens_decoder of " + filepath.Base(config.String())}
		if ok, err := decoder.Get(key, &token); err != nil || !ok {
			return nil, errors.Join(decoder.Errorf(key, "is not a token"), err)
		}
		token.ID = id
		tokens = append(tokens, token)
	}
	slices.SortFunc(tokens, func(a, b jsonToken) int { return a.ID - b.ID })
	return tokens, nil
}

// readAddedTokens reads added_tokens.json, ids by token, sorted by id.
func readAddedTokens(added modelfolder.Settings, names specialNames) ([]jsonToken, error) {
	special := map[string]bool{}
	for _, token := range names.list() {
		special[token.Content] = true
	}
	var tokens []jsonToken
	for _, content := range added.Keys() {
		token := jsonToken{Content: content, Special: special[content], source: addedTokens}
		if ok, err := added.Get(content, &token.ID); err != nil || !ok {
			return nil, errors.Join(added.Errorf(content, "has no id"), err)
		}
		tokens = append(tokens, token)
	}
	slices.SortStableFunc(tokens, func(a, b jsonToken) int { return a.ID - b.ID })
	for i, token := range tokens[min(1, len(tokens)):] {
		if before := tokens[i]; before.ID == token.ID {
			return nil, added.Errorf(token.Content, "has id %d, as %q has", token.ID, before.Content)
		}
	}
	return tokens, nil
}

// addedVocabulary gives added tokens their ids as the tokenizers package does: that of the vocabulary, or the next one
// after the last.
type addedVocabulary struct {
	vocab  map[string]int
	size   int // of the vocabulary
	tokens []jsonToken
	ids    map[string]int
}

// id returns the id of an added token or of a piece.
func (a *addedVocabulary) id(content string) (int, bool) {
	if id, ok := a.ids[content]; ok {
		return id, true
	}
	id, ok := a.vocab[content]
	return id, ok
}

// add adds a token, in place of one with the same content.
func (a *addedVocabulary) add(token jsonToken) {
	if token.Content == "" {
		return
	}
	a.tokens = slices.DeleteFunc(a.tokens, func(other jsonToken) bool { return other.Content == token.Content })
	id, ok := a.id(token.Content)
	if !ok {
		id = a.size
		for _, other := range a.ids {
			id = max(id, other+1)
		}
	}
	token.ID = id
	a.ids[token.Content] = id
	a.tokens = append(a.tokens, token)
}

// addTokens finds the tokens that are looked for in a text before its words: those that the files list, and the special
// ones that the files name.
func (t *Tokenizer) addTokens(s *tokenizerSpec) error {
	if err := s.checkListed(); err != nil {
		return err
	}
	a := addedVocabulary{vocab: s.vocab, size: len(s.vocab), ids: map[string]int{}}
	for _, token := range s.listed() {
		a.add(token)
	}
	listed := maps.Clone(a.ids)
	for _, token := range s.specials() {
		if _, ok := s.vocab[token.Content]; !ok && token.source == "" {
			continue // a usual name that no file gives and the model has no row for
		}
		if _, ok := listed[token.Content]; !ok { // of equal names, which may differ in how they match, the last counts
			a.add(token)
		}
	}
	for _, special := range []struct {
		name, content string
		to            *int32
	}{
		{"unknown", s.unk, &t.unk},
		{"class", s.cls, &t.cls},
		{"separator", s.sep, &t.sep},
		{"padding", s.pad, &t.pad},
	} {
		id, ok := a.id(special.content)
		if !ok {
			return fmt.Errorf("the vocabulary lacks the %s token %s", special.name, special.content)
		}
		if given, ok := s.templateIDs[special.content]; ok && given != id {
			return fmt.Errorf("post_processor gives %s the id %d, the vocabulary %d", special.content, given, id)
		}
		*special.to = int32(id)
	}
	for _, id := range s.vocab {
		t.size = max(t.size, id+1)
	}
	for _, token := range a.tokens {
		if token.ID >= t.size {
			t.size, t.last = token.ID+1, token
		}
	}
	t.added = a.tokens
	t.findAdded()
	return nil
}

// findAdded makes the sets of the added tokens, after the normalizer.
func (t *Tokenizer) findAdded() {
	var verbatim, normalized []addedToken
	for _, token := range t.added {
		added := addedToken{content: token.Content, id: int32(token.ID), singleWord: token.SingleWord}
		if !token.normalized() {
			verbatim = append(verbatim, added)
			continue
		}
		if added.content = string(t.normalize.append(nil, token.Content)); added.content != "" {
			normalized = append(normalized, added)
		}
	}
	t.verbatim = newTokenSet(verbatim)
	t.normalized = newTokenSet(normalized)
}

// checkListed refuses tokens whose ids no tokenizer gives.
func (s *tokenizerSpec) checkListed() error {
	ids := maps.Clone(s.vocab)
	for i, token := range s.added {
		if token.Content == "" {
			return fmt.Errorf("added_tokens[%d] has no content", i)
		}
		if token.ID < 0 || token.ID > math.MaxInt32 {
			return fmt.Errorf("id %d of added token %q is out of range", token.ID, token.Content)
		}
		if id, ok := ids[token.Content]; ok && id != token.ID {
			return fmt.Errorf("added token %q has id %d, and %d elsewhere in the file", token.Content, token.ID, id)
		}
		ids[token.Content] = token.ID
	}
	return checkIDs(ids)
}

// lastAdded says which token has the largest id, where no vocabulary has it.
func (t *Tokenizer) lastAdded() string {
	if t.last.source == "" {
		return ""
	}
	return fmt.Sprintf(": that of %q (%s); remove the token, or give the model a row for it", t.last.Content,
		t.last.source)
}
