package tokenizer

import (
	"slices"
)

// token is an added token as a file describes it.
type token struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized *bool  `json:"normalized"` // default: not Special
	Special    bool   `json:"special"`
	Kind       string `json:"__type"` // "AddedToken", in tokenizer_config.json

	source string // key and file that name the token, for errors
}

func (t token) normalized() bool { return valueOr(t.Normalized, !t.Special) }

// addedVocabulary assigns ids to added tokens as the tokenizers package does: the id in the vocabulary, or the next
// free id.
type addedVocabulary struct {
	vocab  map[string]int64
	size   int64 // of the vocabulary
	tokens []token
	ids    map[string]int64
}

// id returns the id of an added token or of a piece.
func (a *addedVocabulary) id(content string) (int64, bool) {
	if id, ok := a.ids[content]; ok {
		return id, true
	}
	id, ok := a.vocab[content]
	return id, ok
}

// add adds a token, and replaces a token with the same content.
func (a *addedVocabulary) add(added token) {
	if added.Content == "" {
		return
	}
	a.tokens = slices.DeleteFunc(a.tokens, func(other token) bool { return other.Content == added.Content })
	id, ok := a.id(added.Content)
	if !ok {
		id = a.size
		for _, other := range a.ids {
			id = max(id, other+1)
		}
	}
	added.ID = id
	a.ids[added.Content] = id
	a.tokens = append(a.tokens, added)
}

// addedToken is a token that is searched in the text before any other step.
type addedToken struct {
	id          int32
	special     bool
	singleWord  bool // matches only between word boundaries
	left, right bool // also takes the space at that side
}

// addedSet finds tokens in text: the leftmost token, and the longest of several at one place.
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

// split calls token and text for the parts of s in order, and returns false once a call does. start says that a segment
// begins s. Special tokens count as text unless specials.
func (a *addedSet) split(
	s string, specials bool, token func(id int32) bool, text func(segment string, start bool) bool,
) bool {
	done := 0 // end of the parts before
	for i := 0; i < len(s) && len(a.tokens) > 0; {
		if a.trie.root[s[i]] == 0 {
			i++
			continue
		}
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
		if done < start && !text(s[done:start], done == 0) || !token(added.id) {
			return false
		}
		done = end
	}
	return done >= len(s) || text(s[done:], done == 0)
}
