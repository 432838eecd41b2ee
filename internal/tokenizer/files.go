package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/retort-ir/retort/internal/strictjson"
)

// digest omits the length limit, which Save changes.
func digest(files []file) (string, error) {
	h := sha256.New()
	for _, f := range files {
		data, err := WithTokenLimit(f.name, f.data, 0)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", f.name, len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// WithTokenLimit returns a file of a tokenizer with another length limit: model_max_length of tokenizer_config.json, or
// max_length of tokenizer.json's truncation if that is on. All other bytes, and all other files, stay.
func WithTokenLimit(name string, data []byte, tokens int) ([]byte, error) {
	var path []string
	switch name {
	case ConfigFile:
		path = []string{"model_max_length"}
	case File:
		path = []string{"truncation", "max_length"}
	default:
		return data, nil
	}
	start, end, err := findMember(data, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if start == end || string(data[start:end]) == fmt.Sprint(tokens) {
		return data, nil
	}
	return slices.Concat(data[:start], fmt.Append(nil, tokens), data[end:]), nil
}

// findMember returns where the value of a member is in an object, and start == end where there is none.
func findMember(data []byte, path []string) (start, end int, err error) {
	skipped := len(data) - len(bytes.TrimPrefix(data, []byte("\ufeff")))
	at, text := skipped, data[skipped:]
	for _, key := range path {
		start, end, err = strictjson.FindMember(text, key)
		if err != nil || start == end {
			return 0, 0, err
		}
		at, text = at+start, text[start:end]
	}
	return at, at + len(text), nil
}

// The files of a tokenizer in a model folder.
const (
	File       = "tokenizer.json"
	ConfigFile = "tokenizer_config.json"

	vocabFile       = "vocab.txt"
	specialsFile    = "special_tokens_map.json"
	addedTokensFile = "added_tokens.json"
)

// file is the content of a file, for Save.
type file struct {
	name string
	data []byte
}
