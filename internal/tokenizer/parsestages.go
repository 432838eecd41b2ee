package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/strictjson"
)

// readNormalizer reads the normalizer section.
func (d *description) readNormalizer(section json.RawMessage) (err error) {
	d.normalizer, err = d.normalizers(section)
	return err
}

func (d *description) normalizers(section json.RawMessage) (chain, error) {
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

		Clean        *bool `json:"clean_text"`
		Chinese      *bool `json:"handle_chinese_chars"`
		StripAccents *bool `json:"strip_accents"`
		Lowercase    *bool `json:"lowercase"`
	}
	if err := strictjson.UnmarshalKnown(section, &n); err != nil {
		return nil, err
	}
	switch n.Type {
	case "Sequence":
		var all chain
		err := d.inSequence(n.Normalizers, func(section json.RawMessage) error {
			one, err := d.normalizers(section)
			all = append(all, one...)
			return err
		})
		return all.merged(), err
	case "BertNormalizer":
		lower := valueOr(n.Lowercase, true)
		return chain{bertNormalizer{
			clean: valueOr(n.Clean, true), chinese: valueOr(n.Chinese, true),
			lower: lower, stripAccents: valueOr(n.StripAccents, lower),
		}}, nil
	case "NFC", "NFD", "NFKC", "NFKD":
		return chain{normalForms[n.Type]}, nil
	case "Lowercase":
		return chain{lowercase{}}, nil
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
	return nil, unknownType(n.Type,
		"Sequence, BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, Strip, Prepend, Replace, Precompiled")
}

// preTokenizer reads the pre_tokenizer section.
func (d *description) preTokenizer(section json.RawMessage) error {
	if isNull(section) {
		return nil
	}
	if d.byteLevel {
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
		StrRep         *string     `json:"str_rep"`      // of older files, the replacement once more
		TrimOffsets    *bool       `json:"trim_offsets"` // offsets are not of interest
	}
	if err := strictjson.UnmarshalKnown(section, &p); err != nil {
		return err
	}
	var stage preTokenizer
	switch p.Type {
	case "Sequence":
		return d.inSequence(p.Pretokenizers, d.preTokenizer)
	case "ByteLevel":
		d.byteLevel = true
		stage = byteLevel{prefixSpace: valueOr(p.AddPrefixSpace, true), pattern: valueOr(p.UseRegex, true)}
	case "BertPreTokenizer":
		stage = bertWords{}
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
		meta.cut = valueOr(p.Split, true)
		stage = meta
	default:
		return unknownType(p.Type,
			"Sequence, BertPreTokenizer, ByteLevel, Digits, Split, Punctuation, WhitespaceSplit, Metaspace")
	}
	d.stages = append(d.stages, stage)
	return nil
}

// newMetaspace reads the settings of Metaspace, add_prefix_space being the key of older files.
func newMetaspace(sign, scheme string, addPrefixSpace *bool) (metaspace, error) {
	if utf8.RuneCountInString(sign) != 1 {
		return metaspace{}, fmt.Errorf("replacement %q: want one character", sign)
	}
	if scheme == "" {
		scheme = "always"
		if !valueOr(addPrefixSpace, true) {
			scheme = "never"
		}
	}
	switch scheme {
	case "always", "first", "never":
		return metaspace{sign: sign, prefix: scheme}, nil
	}
	return metaspace{}, fmt.Errorf("prepend_scheme %q is not supported; supported are always, first, never", scheme)
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

// newSplit makes a preTokenizer of a regular expression.
func newSplit(pattern, behavior string, invert bool) (preTokenizer, error) {
	// Isolated matches without anything between them are the same as removing what is not one.
	if behavior == "isolated" || behavior == "removed" && invert {
		switch pattern {
		case patternGPT2:
			return fastSplit{nextGPT2}, nil
		case patternLlama3:
			return fastSplit{nextLlama3}, nil
		case patternQwen2:
			return fastSplit{nextQwen2}, nil
		}
	}
	find, err := newExpression(pattern)
	if err != nil {
		return nil, err
	}
	return splitAt{find, behavior, invert}, nil
}
