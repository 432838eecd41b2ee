package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/retort-ir/retort/internal/strictjson"
)

// normalizer rewrites text before it is cut.
type normalizer interface {
	normalize(s string) string
}

// chain applies normalizers in order; the empty one leaves text as it is.
type chain []normalizer

func (c chain) normalize(s string) string {
	s, _ = c.normalizeAtStart(s)
	return s
}

// maxGrowth is how many times as long a text may become. Unicode's forms make one of 3 bytes 33 bytes at most; a chain
// of Replaces doubles it with each.
const maxGrowth = 64

// growth is what normalizeAtStart panics with and guard recovers.
type growth int

func (g growth) Error() string {
	return fmt.Sprintf("the tokenizer's normalizers make a text %d times as long; the limit is %d: take another tokenizer",
		g, maxGrowth)
}

// normalizeAtStart says as well whether space at the start was taken off.
func (c chain) normalizeAtStart(s string) (normalized string, stripped bool) {
	limit := maxGrowth*len(s) + maxContent*maxStages
	for _, n := range c {
		if ends, ok := n.(strip); ok && ends.left {
			stripped = stripped || rightOfSpace(s, 0) > 0
		}
		if s = n.normalize(s); len(s) > limit {
			panic(growth(len(s) / max(1, limit/maxGrowth)))
		}
	}
	return s, stripped
}

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

// lowerFirst returns the chain with lower case in front. A BertNormalizer that lowercases needs no other.
func (c chain) lowerFirst() chain { return append(chain{lowercase{}}, c...).merged() }

// merged makes one of a BertNormalizer and the Lowercase beside it, which is how sentence-transformers saves
// do_lower_case.
func (c chain) merged() chain {
	if len(c) != 2 {
		return c
	}
	for i := range c {
		if bert, ok := c[i].(bertNormalizer); ok && c[1-i] == normalizer(lowercase{}) {
			bert.lower = true
			return chain{bert}
		}
	}
	return c
}

type rewrite func(s string) string

func (r rewrite) normalize(s string) string { return r(s) }

// normalForm is one of Unicode's normal forms. As the Stream-Safe Text Format has it, a run of more than 30 combining
// marks is broken by U+034F, which Hugging Face does not do.
type normalForm norm.Form

func (f normalForm) normalize(s string) string {
	form := norm.Form(f)
	if form.IsNormalString(s) {
		return s
	}
	return form.String(s)
}

var normalForms = map[string]normalForm{
	"NFC": normalForm(norm.NFC), "NFD": normalForm(norm.NFD), "NFKC": normalForm(norm.NFKC), "NFKD": normalForm(norm.NFKD),
}

// lowercase is Rust's char::to_lowercase, character by character, without regard to neighbours (no final sigma).
type lowercase struct{}

func (lowercase) normalize(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		writeLower(&b, r)
	}
	return b.String()
}

func writeLower(b *strings.Builder, r rune) {
	if r == 'İ' { // the one character whose lower case is two
		b.WriteString("i\u0307")
		return
	}
	b.WriteRune(unicode.ToLower(r))
}

func stripAccents(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.M, r) {
			return -1
		}
		return r
	}, s)
}

// nmt is sentencepiece's cleaning: control characters go, odd spaces become a space.
func nmt(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 0x1 <= r && r <= 0x8, r == 0xb, 0xe <= r && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
			return -1
		case r == 0x9, r == 0xa, r == 0xc, r == 0xd, r == 0x1680, 0x200b <= r && r <= 0x200f, r == 0x2028, r == 0x2029,
			r == 0x2581, r == 0xfeff, r == 0xfffd:
			return ' '
		}
		return r
	}, s)
}

// strip removes space at the ends.
type strip struct{ left, right bool }

func (t strip) normalize(s string) string {
	if t.left {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if t.right {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return s
}
