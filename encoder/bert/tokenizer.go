package bert

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/sugarme/tokenizer/model/wordpiece"
)

// Tokenizer turns text into the token ids of a BERT model: Hugging Face's BertNormalizer and BertPreTokenizer, then
// WordPiece (Wu et al. 2016, arXiv 1609.08144). Its ids equal those of Hugging Face's fast tokenizer. It is safe for
// concurrent use.
type Tokenizer struct {
	model     wordpiece.WordPiece
	maxChars  int // a longer word is unknown
	size      int // the largest id + 1
	normalize normalizer

	unk, cls, sep, pad int32
	verbatim           tokenSet // tokens that are looked for in the text as it is: "[MASK]"
	normalized         tokenSet // tokens that are looked for in the normalised text

	added []jsonToken // all of them, with their ids
	last  jsonToken   // the one with the largest id, where that is beyond the vocabulary

	modelMaxLength *int // of tokenizer_config.json; nil where it gives none
	cutLeft        bool
	notes          []string // what is to be said about the files
	files          []tokenizerFile
	fingerprint    string
}

// Encode returns the ids of a text, cut so that they are at most maxTokens with the [CLS] in front and the [SEP] behind,
// which are there even where maxTokens is below two. Bytes that are no UTF-8 count as U+FFFD. The work is in proportion
// to what is returned, not to the length of the text, as long as the text has spaces and is cut at its end.
func (t *Tokenizer) Encode(text string, maxTokens int) []int32 {
	if t.cutLeft && maxTokens < math.MaxInt32 {
		ids := t.Encode(text, math.MaxInt32)
		over := max(0, len(ids)-max(maxTokens, 2))
		return slices.Delete(ids, 1, 1+over)
	}
	limit := max(maxTokens, 2) - 1 // leaves room for [SEP]
	e := encoding{t: t, limit: limit, ids: make([]int32, 1, min(limit+1, len(text)/3+3))}
	e.ids[0] = t.cls
	t.verbatim.split(text, e.text, e.token)
	return append(e.ids, t.sep)
}

// CutsLeft says whether a text that is too long loses its beginning rather than its end.
func (t *Tokenizer) CutsLeft() bool { return t.cutLeft }

// PadID returns the id that fills up the shorter rows of a batch.
func (t *Tokenizer) PadID() int32 { return t.pad }

// VocabSize returns the largest id + 1: the rows that a model's embedding table must have.
func (t *Tokenizer) VocabSize() int { return t.size }

// Fingerprint returns a digest of the files that the tokenizer was made of.
func (t *Tokenizer) Fingerprint() string { return t.fingerprint }

// lowerFirst makes a cased tokenizer see lower case; it keeps the accents. It is for a tokenizer not yet in use.
func (t *Tokenizer) lowerFirst() {
	t.normalize.lower = true
	t.findAdded()
	t.fingerprint += " lower"
}

// encoding is one call of Encode.
type encoding struct {
	t     *Tokenizer
	limit int
	ids   []int32
	chars []byte // scratch: the normalised text
}

func (e *encoding) full() bool { return len(e.ids) >= e.limit }

func (e *encoding) token(id int32) bool {
	if !e.full() {
		e.ids = append(e.ids, id)
	}
	return !e.full()
}

// text encodes what lies between verbatim tokens and reports whether there is room for more. Where no token is looked
// for in the normalised text, which may reach over spaces, it goes from space to space, so that a long text that is cut
// is not normalised whole: neither normalisation nor words see over a space.
func (e *encoding) text(s string) bool {
	if len(e.t.normalized.tokens) > 0 {
		e.chars = e.t.normalize.append(e.chars[:0], s)
		return e.t.normalized.split(string(e.chars), e.words, e.token)
	}
	for len(s) > 0 && !e.full() {
		n := 0
		for n < len(s) && s[n] != ' ' && s[n] != '\n' {
			n++
		}
		if n > 0 {
			e.chars = e.t.normalize.append(e.chars[:0], s[:n])
			eachWord(e.chars, e.word)
		}
		s = s[min(n+1, len(s)):]
	}
	return !e.full()
}

func (e *encoding) words(s string) bool { return eachWord([]byte(s), e.word) }

// word appends the pieces of a word, of which most are one piece: asking for that first saves the search.
func (e *encoding) word(w []byte) bool {
	t := e.t
	if len(w) > t.maxChars && utf8.RuneCount(w) > t.maxChars {
		return e.token(t.unk)
	}
	word := string(w)
	if id, ok := t.model.TokenToId(word); ok {
		return e.token(int32(id))
	}
	pieces, err := t.model.Tokenize(word)
	if err != nil { // its only error is a vocabulary without the unknown token, which is refused on loading
		return e.token(t.unk)
	}
	for _, p := range pieces {
		e.token(int32(p.Id))
	}
	return !e.full()
}
