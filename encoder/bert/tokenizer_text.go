package bert

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer is Hugging Face's BertNormalizer. sugarme's keeps the accents, takes some unassigned characters for
// controls and does not turn white space into spaces, so we have our own.
type normalizer struct {
	clean        bool // remove controls, turn white space into spaces
	chinese      bool // make a word of each Chinese character
	stripAccents bool
	lower        bool
}

// append appends the normalised s to dst.
func (n normalizer) append(dst []byte, s string) []byte {
	if isASCII(s) {
		return n.appendASCII(dst, s)
	}
	s = n.separate(s)
	if n.stripAccents {
		s = norm.NFD.String(s)
	}
	for _, c := range s {
		switch {
		case n.stripAccents && unicode.Is(mark, c):
		case n.lower:
			dst = appendLower(dst, c)
		default:
			dst = utf8.AppendRune(dst, c)
		}
	}
	return dst
}

// appendASCII is append for ASCII, which has neither accents nor Chinese characters.
func (n normalizer) appendASCII(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case n.clean && (c == '\t' || c == '\n' || c == '\r'):
			c = ' '
		case n.clean && (c < ' ' || c == 0x7f):
			continue
		case n.lower && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// separate cleans the text and puts spaces around Chinese characters.
func (n normalizer) separate(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/2)
	for _, c := range s {
		switch {
		case n.clean && unicode.Is(control, c):
		case n.clean && unicode.Is(space, c):
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

// appendLower appends the lower case of c, alone and without regard to its neighbours (no final sigma).
func appendLower(dst []byte, c rune) []byte {
	if c == 'İ' { // the one character whose lower case is two
		return append(dst, "i\u0307"...)
	}
	return utf8.AppendRune(dst, unicode.ToLower(c))
}

// eachWord calls word with the words of a normalised text: what lies between white space, where every punctuation
// character is a word of its own. It stops and returns false when word does.
func eachWord(s []byte, word func([]byte) bool) bool {
	start := 0
	for i := 0; i < len(s); {
		c, n := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, n = utf8.DecodeRune(s[i:])
		}
		kind := kindOf(c)
		if kind != inWord {
			if start < i && !word(s[start:i]) {
				return false
			}
			if kind == isPunctuation && !word(s[i:i+n]) {
				return false
			}
			start = i + n
		}
		i += n
	}
	return start == len(s) || word(s[start:])
}

// kind is what a character is to eachWord.
type kind uint8

const (
	inWord kind = iota
	isSpace
	isPunctuation
)

func kindOf(c rune) kind {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return inWord
	case c == ' ' || '\t' <= c && c <= '\r':
		return isSpace
	case unicode.Is(punctuation, c):
		return isPunctuation
	case unicode.Is(space, c):
		return isSpace
	}
	return inWord
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// chineseCharacters are the blocks of ideographs as the tokenizers package has them, its gap between 2B820 and 2B91F
// included.
var chineseCharacters = &unicode.RangeTable{
	R16: []unicode.Range16{{0x3400, 0x4dbf, 1}, {0x4e00, 0x9fff, 1}, {0xf900, 0xfaff, 1}},
	R32: []unicode.Range32{
		{0x20000, 0x2a6df, 1}, {0x2a700, 0x2b73f, 1}, {0x2b740, 0x2b81f, 1}, {0x2b920, 0x2ceaf, 1}, {0x2f800, 0x2fa1f, 1},
	},
}

// tokenSet finds tokens that stand literally in a text.
type tokenSet struct {
	tokens []addedToken // longest first
	first  [256]bool    // the bytes that a token begins with
}

// addedToken is a token beside the pieces.
type addedToken struct {
	content    string
	id         int32
	singleWord bool // only where no letter or digit touches it
}

func newTokenSet(tokens []addedToken) tokenSet {
	s := tokenSet{tokens: slices.Clone(tokens)}
	slices.SortStableFunc(s.tokens, func(a, b addedToken) int { return len(b.content) - len(a.content) })
	for _, t := range s.tokens {
		s.first[t.content[0]] = true
	}
	return s
}

// split calls token for each token in s, from left to right and the longest first, and between for what lies between. It
// stops and returns false when one of them does.
func (t *tokenSet) split(s string, between func(string) bool, token func(int32) bool) bool {
	start := 0
	for i := 0; i < len(s); {
		if !t.first[s[i]] {
			i++
			continue
		}
		found, ok := t.at(s[i:])
		if !ok {
			i++
			continue
		}
		end := i + len(found.content)
		if found.singleWord && (endsWithWord(s[:i]) || beginsWithWord(s[end:])) {
			i = end
			continue
		}
		if start < i && !between(s[start:i]) || !token(found.id) {
			return false
		}
		start, i = end, end
	}
	return start == len(s) || between(s[start:])
}

func (t *tokenSet) at(s string) (addedToken, bool) {
	for _, token := range t.tokens {
		if strings.HasPrefix(s, token.content) {
			return token, true
		}
	}
	return addedToken{}, false
}

func endsWithWord(s string) bool {
	c, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWordCharacter(c)
}

func beginsWithWord(s string) bool {
	c, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWordCharacter(c)
}

// isWordCharacter is \w of Unicode's regular expressions (UTS #18, annex C).
func isWordCharacter(c rune) bool {
	return unicode.In(c, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
