package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/strictjson"
)

// The bounds of a tokenizer.json, which are far beyond the largest of today. They keep a wrong one from asking for all
// memory, or for time without end.
const (
	maxID      = 1 << 21 // and at most the bytes of the file, which has some bytes a token
	maxToken   = 4096    // bytes
	maxNesting = 8       // of Sequences
	maxStages  = 100     // normalizers or pre-tokenizers
	maxContent = 128     // bytes that a normalizer puts in place of something
)

// description is what a tokenizer is made of, whichever files say it.
type description struct {
	normalizer chain
	stages     []preTokenizer
	byteLevel  bool // a ByteLevel pre-tokenizer ends the stages
	model      jsonModel
	vocab      map[string]int64 // of WordPiece and BPE
	scored     []jsonScored     // of Unigram
	templates  templates
	decoding   decoding
	added      []token // of tokenizer.json
	truncation jsonTruncation
	padding    *jsonPadding

	maxID int64
	depth int // Sequences around
}

// describe reads a tokenizer.json.
func describe(data []byte) (*description, error) {
	var file struct {
		Version       string          `json:"version"`
		Truncation    *jsonTruncation `json:"truncation"`
		Padding       *jsonPadding    `json:"padding"`
		AddedTokens   []token         `json:"added_tokens"`
		Normalizer    json.RawMessage `json:"normalizer"`
		PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
		PostProcessor json.RawMessage `json:"post_processor"`
		Decoder       json.RawMessage `json:"decoder"`
		Model         json.RawMessage `json:"model"`
	}
	if err := jsonfile.UnmarshalKnown(bytes.TrimPrefix(data, []byte("\ufeff")), &file); err != nil {
		return nil, filekind.Explain(fmt.Errorf("not a tokenizer.json: %w", err), data, filekind.JSON, filekind.Text)
	}
	d := &description{
		added: file.AddedTokens, truncation: valueOr(file.Truncation, jsonTruncation{}),
		padding: file.Padding, maxID: min(maxID, int64(len(data))),
	}
	for i := range d.added {
		d.added[i].source = "added_tokens of " + File
	}
	for _, section := range []struct {
		name string
		data json.RawMessage
		read func(json.RawMessage) error
	}{
		{"normalizer", file.Normalizer, d.readNormalizer},
		{"pre_tokenizer", file.PreTokenizer, d.preTokenizer},
		{"model", file.Model, d.readModel},
		{"post_processor", file.PostProcessor, d.postProcessor},
		{"decoder", file.Decoder, d.decoder},
	} {
		if err := section.read(section.data); err != nil {
			return nil, fmt.Errorf("%s: %w", section.name, err)
		}
	}
	if n := max(len(d.normalizer), len(d.stages)); n > maxStages {
		return nil, fmt.Errorf("%d normalizers or pre-tokenizers, the limit is %d", n, maxStages)
	}
	return d, nil
}

// describeVocab reads a vocab.txt: one piece a line, whose id is the number of the line, from 0. The last of equal
// lines counts.
func describeVocab(data []byte) (*description, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := &description{vocab: map[string]int64{}, model: jsonModel{Type: "WordPiece"}}
	text := strings.TrimSuffix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		d.vocab[line] = d.maxID
		d.maxID++
	}
	if d.maxID > maxID {
		return nil, fmt.Errorf("%d lines, the limit is %d", d.maxID, maxID)
	}
	d.maxID = maxID
	return d, nil
}

// build makes the tokenizer, all but its templates. added returns the added tokens with their ids.
func (d *description) build(added func() ([]token, error)) (*Tokenizer, error) {
	t := &Tokenizer{ids: map[string]int32{}, pad: -1, maxID: d.maxID, normalizer: d.normalizer, stages: d.stages}
	if err := t.setModel(d); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	size := len(t.tokens)
	tokens, err := added()
	if err != nil {
		return nil, err
	}
	texts, err := t.setAdded(tokens)
	if err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	for _, token := range tokens {
		if id := t.ids[token.Content]; int(id) >= max(size, int(t.last.ID)+1) {
			t.last = token
			t.last.ID = int64(id)
		}
	}
	if d.isBERT() && len(t.normalized.tokens) == 0 {
		bert := t.normalizer[0].(bertNormalizer)
		t.bert = &bert
	}
	if d.model.Type != "WordPiece" {
		t.setRaw(d.decoding, texts)
	}
	return t, nil
}

// isBERT says whether normalizer and pre-tokenizer are BERT's.
func (d *description) isBERT() bool {
	if len(d.normalizer) != 1 || len(d.stages) != 1 || d.stages[0] != preTokenizer(bertWords{}) {
		return false
	}
	_, ok := d.normalizer[0].(bertNormalizer)
	return ok
}

// inSequence calls read for each section of a Sequence.
func (d *description) inSequence(sections []json.RawMessage, read func(json.RawMessage) error) error {
	if d.depth++; d.depth > maxNesting {
		return fmt.Errorf("a Sequence nested more than %d deep", maxNesting)
	}
	defer func() { d.depth-- }()
	if len(sections) > maxStages {
		return fmt.Errorf("a Sequence of %d, the limit is %d", len(sections), maxStages)
	}
	for _, section := range sections {
		if err := read(section); err != nil {
			return err
		}
	}
	return nil
}

// isNull reports whether a section is not there.
func isNull(section json.RawMessage) bool { return len(section) == 0 || string(section) == "null" }

func unknownType(name, supported string) error {
	return fmt.Errorf("type %q is not supported; supported are %s", name, supported)
}

// valueOr returns what p points at, or the value of a member that is left out.
func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// jsonTruncation is how the tokenizer was last told to cut texts. The lengths are set anew for each call.
type jsonTruncation struct {
	Direction string          `json:"direction"`
	MaxLength json.RawMessage `json:"max_length"`
	Strategy  json.RawMessage `json:"strategy"`
	Stride    json.RawMessage `json:"stride"`
}

// cutsLeft reads the direction. Files of before tokenizers 0.11 have none, which is Right.
func (j jsonTruncation) cutsLeft() (bool, error) {
	switch j.Direction {
	case "Left":
		return true, nil
	case "Right", "":
		return false, nil
	}
	return false, fmt.Errorf("truncation.direction is %q; Left and Right are supported", j.Direction)
}

// jsonPadding is how the tokenizer was last told to pad texts.
type jsonPadding struct {
	Direction  string          `json:"direction"`
	Token      string          `json:"pad_token"`
	ID         json.RawMessage `json:"pad_id"`
	TypeID     json.RawMessage `json:"pad_type_id"`
	Strategy   json.RawMessage `json:"strategy"`
	MultipleOf json.RawMessage `json:"pad_to_multiple_of"`
}

// jsonModel is the model of a tokenizer.json.
type jsonModel struct {
	Type    string          `json:"type"`
	Vocab   json.RawMessage `json:"vocab"`
	Merges  []jsonMerge     `json:"merges"`
	Dropout *float64        `json:"dropout"`

	UnkToken     *string `json:"unk_token"`
	Prefix       *string `json:"continuing_subword_prefix"`
	Suffix       *string `json:"end_of_word_suffix"`
	MaxChars     *int    `json:"max_input_chars_per_word"`
	FuseUnk      bool    `json:"fuse_unk"`
	ByteFallback bool    `json:"byte_fallback"`
	IgnoreMerges bool    `json:"ignore_merges"`

	UnkID *int64 `json:"unk_id"`
}

// jsonMerge is "a b", or ["a", "b"] in newer files.
type jsonMerge [2]string

func (m *jsonMerge) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '"' {
		var pair []string
		if err := strictjson.Unmarshal(data, &pair); err != nil {
			return err
		}
		if len(pair) != 2 {
			return fmt.Errorf("merge %s has %d tokens, want 2", data, len(pair))
		}
		copy(m[:], pair)
		return nil
	}
	var text string
	if err := strictjson.Unmarshal(data, &text); err != nil {
		return err
	}
	pair, err := splitMerge(text)
	*m = pair
	return err
}

func (d *description) readModel(section json.RawMessage) error {
	if isNull(section) {
		return errors.New("is missing")
	}
	m := &d.model
	if err := strictjson.UnmarshalKnown(section, m); err != nil {
		return err
	}
	if m.Type == "" { // in files of before tokenizers 0.9
		m.Type = "WordPiece"
		if m.Merges != nil {
			m.Type = "BPE"
		}
	}
	switch m.Type {
	case "WordPiece", "BPE":
		if err := strictjson.Unmarshal(m.Vocab, &d.vocab); err != nil || d.vocab == nil {
			return errors.Join(errors.New("vocab is not an object of ids"), err)
		}
	case "Unigram":
		if err := strictjson.Unmarshal(m.Vocab, &d.scored); err != nil {
			return fmt.Errorf("vocab: %w", err)
		}
	default:
		return unknownType(m.Type, "WordPiece, BPE, Unigram")
	}
	m.Vocab = nil
	if n := valueOr(m.MaxChars, usualChars); n < 1 || n > mostChars {
		return fmt.Errorf("max_input_chars_per_word is %d; 1 to %d are supported", n, mostChars)
	}
	return nil
}

// setModel enters the vocabulary and makes the model.
func (t *Tokenizer) setModel(d *description) (err error) {
	for token, id := range d.vocab {
		if err := t.addToken(token, id); err != nil {
			return fmt.Errorf("vocab: %w", err)
		}
	}
	switch d.model.Type {
	case "WordPiece":
		t.model, err = newWordPiece(t.ids, d.model)
	case "BPE":
		t.model, err = t.bpe(d.model, d.byteLevel)
	default:
		t.model, err = t.unigram(d.scored, d.model)
	}
	return err
}

// addToken enters a token of the model.
func (t *Tokenizer) addToken(token string, id int64) error {
	if id < 0 || id >= t.maxID {
		return fmt.Errorf("id %d of token %.100q is not in 0 to %d", id, token, t.maxID-1)
	}
	if len(token) > maxToken {
		return fmt.Errorf("token %.60q... has %d bytes, the limit is %d", token, len(token), maxToken)
	}
	for int64(len(t.tokens)) <= id {
		t.tokens = append(t.tokens, "")
	}
	if other := t.tokens[id]; other != "" && other != token {
		return fmt.Errorf("%q and %q have the same id %d", min(other, token), max(other, token), id)
	}
	t.tokens[id] = token
	t.ids[token] = int32(id)
	return nil
}
