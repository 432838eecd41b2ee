package subword

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/regular"
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

// Load reads a tokenizer.json as Hugging Face's tokenizers package writes it: a BPE or Unigram model with the
// normalizers, pre-tokenizers, post-processors and decoders that language models and RoBERTa-like rerankers use. What it
// does not know is an error that names it and what is known. The file's truncation and padding are not used.
func Load(path string) (*Tokenizer, error) {
	data, err := regular.ReadFile(path, regular.MaxJSON)
	if err != nil {
		return nil, err
	}
	t, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, filekind.Explain(err, data, filekind.JSON, filekind.Text))
	}
	return t, nil
}

// Parse reads the content of a tokenizer.json; see [Load].
func Parse(data []byte) (*Tokenizer, error) {
	var file tokenizerFile
	if err := strictjson.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	b := builder{t: &Tokenizer{ids: map[string]int32{}}, file: file, addedTexts: map[int32]string{}}
	b.t.maxID = min(maxID, int64(len(data)))
	var err error
	if slow := guard(func() { err = b.build() }); slow != nil || err != nil {
		return nil, errors.Join(slow, err)
	}
	sum := sha256.Sum256(data)
	b.t.fingerprint = hex.EncodeToString(sum[:])
	return b.t, nil
}

// tokenizerFile is the part of a tokenizer.json that is read at once; the sections depend on their types.
type tokenizerFile struct {
	AddedTokens   []jsonAdded     `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

type jsonAdded struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// builder makes a tokenizer of a file, section by section.
type builder struct {
	t         *Tokenizer
	file      tokenizerFile
	byteLevel bool // a ByteLevel pre-tokenizer ends the stages
	decode    decoding

	addedTexts map[int32]string // by id: the text that is looked for
	depth      int              // Sequences around
}

// inSequence calls read for each section of a Sequence.
func (b *builder) inSequence(sections []json.RawMessage, read func(json.RawMessage) error) error {
	if b.depth++; b.depth > maxNesting {
		return fmt.Errorf("a Sequence nested more than %d deep", maxNesting)
	}
	defer func() { b.depth-- }()
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

func (b *builder) build() error {
	normalizers, err := b.normalizers(b.file.Normalizer)
	if err != nil {
		return fmt.Errorf("normalizer: %w", err)
	}
	b.t.normalizer = normalizers
	if err := b.preTokenizer(b.file.PreTokenizer); err != nil {
		return fmt.Errorf("pre_tokenizer: %w", err)
	}
	if n := max(len(normalizers), len(b.t.stages)); n > maxStages {
		return fmt.Errorf("%d normalizers or pre-tokenizers, the limit is %d", n, maxStages)
	}
	if err := b.model(b.file.Model); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if err := b.added(); err != nil {
		return fmt.Errorf("added_tokens: %w", err)
	}
	if err := b.decoder(b.file.Decoder); err != nil {
		return fmt.Errorf("decoder: %w", err)
	}
	if err := b.postProcessor(b.file.PostProcessor); err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	b.t.setRaw(b.decode, b.addedTexts)
	return nil
}

// isNull reports whether a section is not there.
func isNull(section json.RawMessage) bool { return len(section) == 0 || string(section) == "null" }

func unknownType(name, supported string) error {
	return fmt.Errorf("type %q is not supported; supported are %s", name, supported)
}

// jsonModel is a BPE or Unigram model.
type jsonModel struct {
	Type    string          `json:"type"`
	Vocab   json.RawMessage `json:"vocab"`
	Merges  []jsonMerge     `json:"merges"`
	Dropout *float64        `json:"dropout"`

	UnkToken     *string `json:"unk_token"`
	Prefix       *string `json:"continuing_subword_prefix"`
	Suffix       *string `json:"end_of_word_suffix"`
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
	left, right, ok := strings.Cut(text, " ")
	if !ok || left == "" || right == "" || strings.Contains(right, " ") {
		return fmt.Errorf("merge %q, want two tokens with one space between", text)
	}
	*m = jsonMerge{left, right}
	return nil
}

func (b *builder) model(section json.RawMessage) error {
	if isNull(section) {
		return errors.New("is missing")
	}
	var m jsonModel
	if err := strictjson.Unmarshal(section, &m); err != nil {
		return err
	}
	switch {
	case m.Type == "BPE", m.Type == "" && m.Merges != nil:
		return b.bpe(m)
	case m.Type == "Unigram":
		return b.unigram(m)
	}
	return unknownType(m.Type, "BPE, Unigram")
}

func (b *builder) bpe(m jsonModel) error {
	if m.Dropout != nil && *m.Dropout != 0 {
		return fmt.Errorf("dropout %g: a tokenizer that is in use has none; set it to null", *m.Dropout)
	}
	if m.Prefix != nil && *m.Prefix != "" {
		return fmt.Errorf("continuing_subword_prefix %q is not supported", *m.Prefix)
	}
	if m.Suffix != nil && *m.Suffix != "" {
		return fmt.Errorf("end_of_word_suffix %q is not supported", *m.Suffix)
	}
	var vocab map[string]int64
	if err := strictjson.Unmarshal(m.Vocab, &vocab); err != nil {
		return fmt.Errorf("vocab: %w", err)
	}
	for token, id := range vocab {
		if err := b.t.addToken(token, id); err != nil {
			return fmt.Errorf("vocab: %w", err)
		}
	}
	merges := make([][2]string, len(m.Merges))
	for i, pair := range m.Merges {
		merges[i] = pair
	}
	unk := int32(-1)
	if m.UnkToken != nil {
		id, ok := b.t.ids[*m.UnkToken]
		if !ok {
			return fmt.Errorf("unk_token %q is not in the vocabulary", *m.UnkToken)
		}
		unk = id
	}
	model, err := newBPE(b.t.ids, merges, b.byteLevel)
	if err != nil {
		return err
	}
	model.unk, model.fuseUnk = unk, m.FuseUnk
	if m.IgnoreMerges {
		model.takeWholeWords(b.t.ids)
	}
	if m.ByteFallback && !b.byteLevel {
		// With a byte missing Hugging Face falls back for some characters only; no known vocabulary is so.
		fallback, missing := byteIDs(b.t.ids, fallbackName)
		if missing > 0 {
			return fmt.Errorf("byte_fallback: the vocabulary lacks %d of the tokens <0x00> to <0xFF>", missing)
		}
		model.fallback = &fallback
	}
	b.t.model = model
	return nil
}

// addToken enters a token of the model.
func (t *Tokenizer) addToken(token string, id int64) error {
	if id < 0 || id >= t.maxID {
		return fmt.Errorf("token %.100q has id %d, which is not in 0 to %d", token, id, t.maxID-1)
	}
	if len(token) > maxToken {
		return fmt.Errorf("token %.60q... has %d bytes, the limit is %d", token, len(token), maxToken)
	}
	for int64(len(t.tokens)) <= id {
		t.tokens = append(t.tokens, "")
	}
	if other := t.tokens[id]; other != "" && other != token {
		return fmt.Errorf("id %d has two tokens, %q and %q", id, min(other, token), max(other, token))
	}
	t.tokens[id] = token
	t.ids[token] = int32(id)
	return nil
}

// added enters the added tokens. One that the model knows has the model's id, as in Hugging Face's package.
func (b *builder) added() error {
	var verbatim, normalized []addedToken
	var verbatimTexts, normalizedTexts []string
	for _, a := range b.file.AddedTokens {
		if a.Content == "" {
			continue
		}
		id, known := b.t.ids[a.Content]
		if !known {
			if err := b.t.addToken(a.Content, a.ID); err != nil {
				return err
			}
			id = int32(a.ID)
		}
		added := addedToken{id: id, special: a.Special, singleWord: a.SingleWord, left: a.LStrip, right: a.RStrip}
		if a.Normalized {
			normalized = append(normalized, added)
			normalizedTexts = append(normalizedTexts, b.t.normalizer.normalize(a.Content))
			b.addedTexts[id] = normalizedTexts[len(normalizedTexts)-1]
			continue
		}
		verbatim = append(verbatim, added)
		verbatimTexts = append(verbatimTexts, a.Content)
		b.addedTexts[id] = a.Content
	}
	b.t.verbatim = newAddedSet(verbatimTexts, verbatim)
	b.t.normalized = newAddedSet(normalizedTexts, normalized)
	return nil
}

func (b *builder) normalizers(section json.RawMessage) (chain, error) {
	if isNull(section) {
		return nil, nil
	}
	var n struct {
		Type        string            `json:"type"`
		Normalizers []json.RawMessage `json:"normalizers"`
		Prepend     string            `json:"prepend"`
		Pattern     jsonPattern       `json:"pattern"`
		Content     string            `json:"content"`
		Left        bool              `json:"strip_left"`
		Right       bool              `json:"strip_right"`
		Charsmap    []byte            `json:"precompiled_charsmap"` // base64
	}
	if err := strictjson.Unmarshal(section, &n); err != nil {
		return nil, err
	}
	switch n.Type {
	case "Sequence":
		var all chain
		err := b.inSequence(n.Normalizers, func(section json.RawMessage) error {
			one, err := b.normalizers(section)
			all = append(all, one...)
			return err
		})
		return all, err
	case "NFC", "NFD", "NFKC", "NFKD":
		return chain{normalForms[n.Type]}, nil
	case "Lowercase":
		return chain{rewrite(lowercase)}, nil
	case "StripAccents":
		return chain{rewrite(stripAccents)}, nil
	case "Nmt":
		return chain{rewrite(nmt)}, nil
	case "Strip":
		return chain{strip{n.Left, n.Right}}, nil
	case "Prepend":
		if len(n.Prepend) > maxContent {
			return nil, fmt.Errorf("prepend has %d bytes, the limit is %d", len(n.Prepend), maxContent)
		}
		return chain{rewrite(func(s string) string { return n.Prepend + s })}, nil
	case "Replace":
		if len(n.Content) > maxContent {
			return nil, fmt.Errorf("content has %d bytes, the limit is %d", len(n.Content), maxContent)
		}
		replace, err := n.Pattern.replacer(n.Content)
		if err != nil {
			return nil, err
		}
		return chain{replace}, nil
	case "Precompiled":
		m, err := newCharsmap(n.Charsmap)
		if err != nil {
			return nil, fmt.Errorf("precompiled_charsmap: %w", err)
		}
		return chain{m}, nil
	}
	return nil, unknownType(n.Type, "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, Strip, Prepend, Replace, Precompiled")
}

// jsonPattern is {"String": "..."} or {"Regex": "..."}.
type jsonPattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

var errNoPattern = errors.New(`pattern: want {"String": "..."} or {"Regex": "..."}`)

func (p jsonPattern) replacer(by string) (normalizer, error) {
	if p.String != nil {
		from := *p.String
		if from == "" {
			return nil, errors.New("pattern: the string is empty")
		}
		return rewrite(func(s string) string { return strings.ReplaceAll(s, from, by) }), nil
	}
	if p.Regex == nil {
		return nil, errNoPattern
	}
	find, err := newExpression(*p.Regex)
	if err != nil {
		return nil, err
	}
	return rewrite(func(s string) string { return find.replaceAll(s, by) }), nil
}

func (p jsonPattern) splitter(behavior string, invert bool) (preTokenizer, error) {
	name, ok := splitBehaviors[behavior]
	if !ok {
		return nil, fmt.Errorf("behavior %q is not supported; supported are %s", behavior,
			"Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous")
	}
	if p.String != nil {
		return splitAt{literal(*p.String), name, invert}, nil
	}
	if p.Regex == nil {
		return nil, errNoPattern
	}
	return newSplit(*p.Regex, name, invert)
}

func (b *builder) preTokenizer(section json.RawMessage) error {
	if isNull(section) {
		return nil
	}
	if b.byteLevel {
		return errors.New("ByteLevel must be the last of a Sequence")
	}
	var p struct {
		Type          string            `json:"type"`
		Pretokenizers []json.RawMessage `json:"pretokenizers"`

		AddPrefixSpace *bool       `json:"add_prefix_space"`
		UseRegex       *bool       `json:"use_regex"`
		Individual     bool        `json:"individual_digits"`
		Pattern        jsonPattern `json:"pattern"`
		Behavior       string      `json:"behavior"`
		Invert         bool        `json:"invert"`
		Replacement    string      `json:"replacement"`
		PrependScheme  string      `json:"prepend_scheme"`
		Split          *bool       `json:"split"`
	}
	if err := strictjson.Unmarshal(section, &p); err != nil {
		return err
	}
	var stage preTokenizer
	switch p.Type {
	case "Sequence":
		return b.inSequence(p.Pretokenizers, b.preTokenizer)
	case "ByteLevel":
		b.byteLevel = true
		stage = byteLevel{prefixSpace: orTrue(p.AddPrefixSpace), pattern: orTrue(p.UseRegex)}
	case "Digits":
		stage = digits(p.Individual)
	case "Split":
		split, err := p.Pattern.splitter(p.Behavior, p.Invert)
		if err != nil {
			return err
		}
		stage = split
	case "Punctuation":
		name, ok := splitBehaviors[p.Behavior]
		if p.Behavior != "" && !ok {
			return fmt.Errorf("behavior %q is not supported", p.Behavior)
		}
		if p.Behavior == "" {
			name = "isolated"
		}
		stage = splitAt{charClass{in: isPunctuation}, name, false}
	case "WhitespaceSplit":
		stage = whitespaceSplit
	case "Metaspace":
		meta, err := newMetaspace(p.Replacement, p.PrependScheme, p.AddPrefixSpace)
		if err != nil {
			return err
		}
		meta.cut = orTrue(p.Split)
		stage = meta
	default:
		return unknownType(p.Type, "Sequence, ByteLevel, Digits, Split, Punctuation, WhitespaceSplit, Metaspace")
	}
	b.t.stages = append(b.t.stages, stage)
	return nil
}

func orTrue(b *bool) bool { return b == nil || *b }
