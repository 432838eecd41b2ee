package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	encoding "golang.org/x/text/encoding/unicode"
)

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func lowerASCII(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

func writeLower(b *strings.Builder, r rune) {
	if r == 'İ' { // the one character whose lower case is two
		b.WriteString("i\u0307")
		return
	}
	b.WriteRune(unicode.ToLower(r))
}

// validUTF8 replaces invalid UTF-8 by U+FFFD: one for the longest prefix of a character, as Python's errors="replace"
// and Rust's from_utf8_lossy do.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	valid, _ := encoding.UTF8.NewDecoder().String(s) // which never fails
	return valid
}

func standsAlone(s string, start, end int) bool {
	before, n := utf8.DecodeLastRuneInString(s[:start])
	after, m := utf8.DecodeRuneInString(s[end:])
	return (n == 0 || !isWord(before)) && (m == 0 || !isWord(after))
}

// isWord is the class \w of Unicode TR 18, annex C.
func isWord(r rune) bool {
	return r == '\u200c' || r == '\u200d' ||
		unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic)
}

func leftOfSpace(s string, i int) int {
	for i > 0 {
		r, n := utf8.DecodeLastRuneInString(s[:i])
		if !unicode.IsSpace(r) {
			break
		}
		i -= n
	}
	return i
}

func rightOfSpace(s string, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsSpace(r) {
			break
		}
		i += n
	}
	return i
}
