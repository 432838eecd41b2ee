package tokenizer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites text before pre-tokenization.
type normalizer interface {
	normalize(s string) string
}

// chain applies normalizers in order; the empty one leaves text as it is.
type chain []normalizer

func (c chain) normalize(s string) string {
	s, _ = c.normalizeAtStart(s)
	return s
}

// normalizeAtStart also says whether a normalizer stripped space at the start.
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

// lowerFirst returns the chain with Lowercase in front, or with a BertNormalizer that lowercases.
func (c chain) lowerFirst() chain { return append(chain{lowercase{}}, c...).merged() }

// merged merges a BertNormalizer with the Lowercase beside it, which sentence-transformers saves for do_lower_case.
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

// normalForm is one of Unicode's normal forms. Unlike Hugging Face, it breaks a run of more than 30 combining marks by
// U+034F, as the Stream-Safe Text Format does.
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

func stripAccents(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.M, r) {
			return -1
		}
		return r
	}, s)
}

// nmt is sentencepiece's cleaning: it drops control characters and turns unusual spaces into a space.
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
