package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bertNormalizer is Hugging Face's BertNormalizer. The BertNormalizer of sugarme/tokenizer keeps accents, treats some
// unassigned characters as controls and does not turn white space into spaces.
type bertNormalizer struct {
	clean        bool // remove controls, turn white space into spaces
	chinese      bool // make a word of each Chinese character
	stripAccents bool
	lower        bool
}

func (n bertNormalizer) normalize(s string) string {
	i := 0
	for i < len(s) && n.stays(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	if isASCII(s[i:]) {
		return n.normalizeASCII(s, i)
	}
	s = n.separate(s)
	if n.stripAccents {
		s = norm.NFD.String(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, c := range s {
		switch {
		case n.stripAccents && unicode.Is(bertMark, c):
		case n.lower:
			writeLower(&b, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// normalizeASCII is normalize for ASCII, which has neither accents nor Chinese characters. The first i bytes stay.
func (n bertNormalizer) normalizeASCII(s string, i int) string {
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case n.clean && (c == '\t' || c == '\n' || c == '\r'):
			c = ' '
		case n.clean && (c < ' ' || c == 0x7f):
			continue
		case n.lower:
			c = lowerASCII(c)
		}
		b.WriteByte(c)
	}
	return b.String()
}

// stays says whether normalizing leaves an ASCII character unchanged.
func (n bertNormalizer) stays(c byte) bool {
	return 'a' <= c && c <= 'z' || ' ' <= c && c < 0x7f && !(n.lower && 'A' <= c && c <= 'Z')
}

// separate cleans the text and puts spaces around Chinese characters.
func (n bertNormalizer) separate(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/2)
	for _, c := range s {
		switch {
		case n.clean && unicode.Is(bertControl, c):
		case n.clean && unicode.Is(bertSpace, c):
			b.WriteByte(' ')
		case n.chinese && unicode.Is(chineseCharacters, c):
			b.WriteByte(' ')
			b.WriteRune(c)
			b.WriteByte(' ')
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// chineseCharacters are the blocks of ideographs of the tokenizers package, which omits 2B820 to 2B91F.
var chineseCharacters = &unicode.RangeTable{
	R16: []unicode.Range16{{0x3400, 0x4dbf, 1}, {0x4e00, 0x9fff, 1}, {0xf900, 0xfaff, 1}},
	R32: []unicode.Range32{
		{0x20000, 0x2a6df, 1}, {0x2a700, 0x2b73f, 1}, {0x2b740, 0x2b81f, 1}, {0x2b920, 0x2ceaf, 1}, {0x2f800, 0x2fa1f, 1},
	},
}

// bertWords is Hugging Face's BertPreTokenizer: it splits at white space, and makes a word of each punctuation
// character.
type bertWords struct{}

func (bertWords) split(dst []piece, p piece) []piece {
	eachBERTWord(p.text, func(word string) bool {
		dst = append(dst, piece{text: word})
		return true
	})
	return dst
}

// eachBERTWord calls word with each word, until word returns false.
func eachBERTWord(s string, word func(string) bool) {
	start := 0
	for i := 0; i < len(s); {
		c, n := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, n = utf8.DecodeRuneInString(s[i:])
		}
		if kind := bertKindOf(c); kind != bertLetter {
			if start < i && !word(s[start:i]) || kind == bertSign && !word(s[i:i+n]) {
				return
			}
			start = i + n
		}
		i += n
	}
	if start < len(s) {
		word(s[start:])
	}
}

// bertKind is the class of a character in bertWords.
type bertKind uint8

const (
	bertLetter bertKind = iota // within a word
	bertBlank
	bertSign
)

func bertKindOf(c rune) bertKind {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return bertLetter
	case c == ' ' || '\t' <= c && c <= '\r':
		return bertBlank
	case unicode.Is(bertPunctuation, c):
		return bertSign
	case unicode.Is(bertSpace, c):
		return bertBlank
	}
	return bertLetter
}
