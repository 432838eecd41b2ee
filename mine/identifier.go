package mine

import (
	"strings"
	"unicode"
)

// splitIdentifiers puts a space between the words of every identifier, path and qualified name in the text.
func splitIdentifiers(text string) string {
	runes := []rune(strings.ToValidUTF8(text, " "))
	var b strings.Builder
	b.Grow(len(text) + len(text)/8)
	for i, r := range runes {
		switch {
		case separates(runes, i):
			b.WriteByte(' ')
		case startsWord(runes, i):
			b.WriteByte(' ')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// separates reports whether rune i separates the words of a name. A dot between digits belongs to a number.
func separates(runes []rune, i int) bool {
	switch runes[i] {
	case '/', '\\', ':', '-', '_':
		return true
	case '.':
		return !unicode.IsDigit(at(runes, i-1)) || !unicode.IsDigit(at(runes, i+1))
	}
	return false
}

// startsWord reports whether a word of camelCase begins at rune i: at an upper-case letter after a lower-case letter or
// a digit (read|All, utf8|String), and at the last of several upper-case letters when a word follows (HTTP|Server). A
// single lower-case letter is no word: the plural of URLs and the v of IPv4 belong to the letters before them.
func startsWord(runes []rune, i int) bool {
	if !unicode.IsUpper(runes[i]) {
		return false
	}
	before := at(runes, i-1)
	if unicode.IsLower(before) || unicode.IsDigit(before) {
		return true
	}
	return unicode.IsUpper(before) && unicode.IsLower(at(runes, i+1)) && unicode.IsLower(at(runes, i+2))
}

// at returns rune i, or 0 outside the text.
func at(runes []rune, i int) rune {
	if i < 0 || i >= len(runes) {
		return 0
	}
	return runes[i]
}
