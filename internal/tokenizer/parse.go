package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/strictjson"
)

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

// describeVocab reads a vocab.txt: one piece a line; the id is the number of the line, from 0. The last of equal lines
// counts.
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

func (d *description) readModel(section json.RawMessage) error {
	if isNull(section) {
		return errors.New("is missing")
	}
	m := &d.model
	if err := strictjson.UnmarshalKnown(section, m); err != nil {
		return err
	}
	if m.Type == "" { // in files from before tokenizers 0.9
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

// postProcessor reads the templates; offsets, which some post-processors trim, are not of interest.
func (d *description) postProcessor(section json.RawMessage) error {
	if isNull(section) {
		return nil
	}
	var p struct {
		Type       string                 `json:"type"`
		Processors []json.RawMessage      `json:"processors"`
		Sep        *jsonTokenID           `json:"sep"`
		Cls        *jsonTokenID           `json:"cls"`
		Single     []jsonPart             `json:"single"`
		Pair       []jsonPart             `json:"pair"`
		Specials   map[string]jsonSpecial `json:"special_tokens"`

		AddPrefixSpace *bool `json:"add_prefix_space"`
		TrimOffsets    *bool `json:"trim_offsets"`
		UseRegex       *bool `json:"use_regex"`
	}
	if err := strictjson.UnmarshalKnown(section, &p); err != nil {
		return err
	}
	var cls, sep string
	var ids map[string][]int64
	if p.Type == "BertProcessing" || p.Type == "RobertaProcessing" {
		if p.Cls == nil || p.Sep == nil {
			return errors.New("want cls and sep, each a token and its id")
		}
		cls, sep = p.Cls.Token, p.Sep.Token
		ids = map[string][]int64{cls: {p.Cls.ID}, sep: {p.Sep.ID}}
	}
	switch p.Type {
	case "Sequence":
		return d.inSequence(p.Processors, d.postProcessor)
	case "ByteLevel":
		return nil
	case "BertProcessing":
		return d.setTemplates(bertTemplates(cls, sep, ids))
	case "RobertaProcessing":
		return d.setTemplates(robertaTemplates(cls, sep, ids))
	case "TemplateProcessing":
		specials := make(map[string][]int64, len(p.Specials))
		for name, special := range p.Specials {
			specials[name] = special.IDs
		}
		return d.setTemplates(templates{p.Single, p.Pair, specials})
	}
	return unknownType(p.Type, "Sequence, ByteLevel, RobertaProcessing, BertProcessing, TemplateProcessing")
}

func (d *description) setTemplates(t templates) error {
	if d.templates.single != nil || d.templates.pair != nil {
		return errors.New("a Sequence of two post-processors that add tokens is not supported")
	}
	if t.single == nil {
		t.single = textAlone
	}
	if t.pair == nil {
		t.pair = textsOnly
	}
	if err := checkSequences(t.single, "A"); err != nil {
		return fmt.Errorf("single: %w", err)
	}
	if err := checkSequences(t.pair, "A", "B"); err != nil {
		return fmt.Errorf("pair: %w", err)
	}
	d.templates = t
	return nil
}

// checkSequences checks that a template holds each of its texts once.
func checkSequences(parts []jsonPart, want ...string) error {
	var seen []string
	for _, p := range parts {
		if p.Sequence != nil {
			seen = append(seen, p.Sequence.ID)
		} else if p.Special == nil {
			return errors.New("a part is neither Sequence nor SpecialToken")
		}
	}
	if slices.Sort(seen); !slices.Equal(seen, want) {
		return fmt.Errorf("the sequences are %q, want each of %q once", seen, want)
	}
	return nil
}

// jsonTokenID is ["</s>", 2].
type jsonTokenID struct {
	Token string
	ID    int64
}

func (t *jsonTokenID) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := strictjson.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("%s: want a token and its id", data)
	}
	if err := strictjson.Unmarshal(parts[0], &t.Token); err != nil {
		return err
	}
	return strictjson.Unmarshal(parts[1], &t.ID)
}

type jsonSpecial struct {
	ID     string   `json:"id"`
	IDs    []int64  `json:"ids"`
	Tokens []string `json:"tokens"`
}

// decoder reads the settings of the decoder section that change a token's bytes.
func (d *description) decoder(section json.RawMessage) error {
	if isNull(section) {
		d.decoding.alphabet = d.decoding.alphabet || d.byteLevel
		return nil
	}
	var j struct {
		Type           string            `json:"type"`
		Decoders       []json.RawMessage `json:"decoders"`
		Replacement    string            `json:"replacement"`
		PrependScheme  string            `json:"prepend_scheme"`
		AddPrefixSpace *bool             `json:"add_prefix_space"`
		Pattern        jsonPattern       `json:"pattern"`
		Content        string            `json:"content"`
		Start          int               `json:"start"`
		Stop           int               `json:"stop"`

		// These change no token's bytes.
		Prefix      *string `json:"prefix"`
		Cleanup     *bool   `json:"cleanup"`
		Split       *bool   `json:"split"`
		StrRep      *string `json:"str_rep"`
		TrimOffsets *bool   `json:"trim_offsets"`
		UseRegex    *bool   `json:"use_regex"`
	}
	if err := strictjson.UnmarshalKnown(section, &j); err != nil {
		return err
	}
	switch j.Type {
	case "Sequence":
		return d.inSequence(j.Decoders, d.decoder)
	case "ByteLevel":
		d.decoding.alphabet = true
	case "ByteFallback":
		d.decoding.fallback = true
	case "Fuse", "WordPiece": // nobody decodes WordPiece
	case "Metaspace":
		meta, err := newMetaspace(j.Replacement, j.PrependScheme, j.AddPrefixSpace)
		if err != nil {
			return err
		}
		d.decoding.space, d.decoding.strip = meta.sign, meta.prefix != "never"
	case "Replace":
		if j.Pattern.String == nil || j.Content != " " || d.decoding.space != "" {
			return fmt.Errorf("%s is not supported; only one string may be replaced, by a space", section)
		}
		d.decoding.space = *j.Pattern.String
	case "Strip":
		if j.Content != " " || j.Start > 1 || j.Stop != 0 {
			return fmt.Errorf("%s is not supported; only one space at the start may be stripped", section)
		}
		d.decoding.strip = j.Start == 1
	default:
		return unknownType(j.Type, "Sequence, WordPiece, ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip")
	}
	return nil
}
