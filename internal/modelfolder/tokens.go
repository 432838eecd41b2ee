package modelfolder

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/strictjson"
)

// The files of a tokenizer beside its vocabulary.
const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	specialsFile  = "special_tokens_map.json"
)

// TokenizerFiles is what the files beside tokenizer.json say of a tokenizer that is read from it alone.
type TokenizerFiles struct {
	CutLeft bool // a text that is too long loses its beginning
}

// CheckTokenizer reads tokenizer_config.json and special_tokens_map.json beside a tokenizer.json. A special token that
// tokenizer.json does not list is an error that names it: transformers would recognise it in texts. Tokens of the keys
// of unused are not looked at.
func CheckTokenizer(dir string, unused ...string) (TokenizerFiles, error) {
	var t TokenizerFiles
	file, err := ReadOptional(filepath.Join(dir, tokenizerFile))
	if err != nil {
		return t, err
	}
	config, err := ReadOptional(filepath.Join(dir, configFile))
	if err != nil {
		return t, err
	}
	specials, err := ReadOptional(filepath.Join(dir, specialsFile))
	if err != nil {
		return t, err
	}
	if config.Has("added_tokens_decoder") {
		specials = Settings{}
	}
	var listed []struct {
		Content string `json:"content"`
	}
	if _, err := file.Get("added_tokens", &listed); err != nil {
		return t, err
	}
	known := map[string]bool{}
	for _, token := range listed {
		known[token.Content] = true
	}
	for _, settings := range []Settings{config, specials} {
		if err := checkNamed(settings, known, unused); err != nil {
			return t, err
		}
	}
	return t, t.readSide(file, config, specials)
}

func (t *TokenizerFiles) readSide(file, config, specials Settings) error {
	truncation, err := file.Object("truncation")
	if err != nil {
		return err
	}
	var direction string
	if _, err := truncation.Get("direction", &direction); err != nil {
		return err
	}
	t.CutLeft = direction == "Left"
	for _, settings := range []Settings{config, specials} {
		var side string
		isSet, err := settings.Get("truncation_side", &side)
		if err != nil {
			return err
		}
		if isSet && side != "left" && side != "right" {
			return settings.Errorf("truncation_side", "is %q; left and right are supported", side)
		}
		if isSet {
			t.CutLeft = side == "left"
		}
	}
	return nil
}

// checkNamed makes sure that every token that a file names is known.
func checkNamed(s Settings, known map[string]bool, unused []string) error {
	for _, key := range s.Keys() {
		isList := key == "additional_special_tokens" || key == "extra_special_tokens" || key == "added_tokens_decoder" ||
			key == "model_specific_special_tokens"
		if slices.Contains(unused, key) || !isList && !strings.HasSuffix(key, "_token") {
			continue
		}
		for _, token := range tokensOf(s.Raw(key), isList) {
			if !known[token] {
				return s.Errorf(key, "names %q, which added_tokens of %s lacks; load and save the tokenizer with transformers' AutoTokenizer, "+
					"or remove the token", token, tokenizerFile)
			}
		}
	}
	return nil
}

// tokensOf returns the contents of a token, a list of tokens or an object of tokens; of switches and the like none.
func tokensOf(raw json.RawMessage, many bool) []string {
	var text string
	if strictjson.Unmarshal(raw, &text) == nil {
		if text == "" {
			return nil
		}
		return []string{text}
	}
	var one struct {
		Content string `json:"content"`
	}
	if strictjson.Unmarshal(raw, &one) == nil && one.Content != "" {
		return []string{one.Content}
	}
	if !many {
		return nil
	}
	var list []json.RawMessage
	if strictjson.Unmarshal(raw, &list) != nil {
		var object map[string]json.RawMessage
		if strictjson.Unmarshal(raw, &object) != nil {
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			list = append(list, object[key])
		}
	}
	var all []string
	for _, inner := range list {
		all = append(all, tokensOf(inner, false)...)
	}
	return all
}
