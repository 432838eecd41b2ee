package subword

import (
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is looked for in the text before anything else.
type addedToken struct {
	id          int32
	special     bool
	singleWord  bool // only where no word goes on at its sides
	left, right bool // takes the space at its sides with it
}

// addedSet finds tokens in text: the leftmost, and of those the longest.
type addedSet struct {
	tokens []addedToken
	trie   trie // to indices of tokens
}

func newAddedSet(texts []string, tokens []addedToken) addedSet {
	values := make([]int32, len(texts))
	for i := range values {
		values[i] = int32(i)
	}
	return addedSet{tokens: tokens, trie: newTrie(texts, values)}
}

// split calls token and text for what it finds in s, in order; start says that a text stands at the start of s. Special
// tokens are text unless specials.
func (a *addedSet) split(s string, specials bool, token func(id int32), text func(segment string, start bool)) {
	done := 0 // what lies before has been handed on
	flush := func(end int) {
		if done < end {
			text(s[done:end], done == 0)
		}
	}
	for i := 0; i < len(s) && len(a.tokens) > 0; {
		index, n := a.trie.longest(s[i:])
		if n == 0 {
			i++
			continue
		}
		added, start, end := a.tokens[index], i, i+n
		i = end
		if added.special && !specials || start < done || added.singleWord && !standsAlone(s, start, end) {
			continue
		}
		if added.left {
			start = max(done, leftOfSpace(s, start))
		}
		if added.right {
			end = rightOfSpace(s, end)
		}
		flush(start)
		token(added.id)
		done = end
	}
	flush(len(s))
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
