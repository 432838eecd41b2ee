package tokenizer

import (
	"fmt"
	"unicode/utf8"

	sugarme "github.com/sugarme/tokenizer/model"
	"github.com/sugarme/tokenizer/model/wordpiece"
)

// wordPiece is WordPiece (Wu et al. 2016, arXiv 1609.08144), computed by sugarme/tokenizer.
type wordPiece struct {
	model    wordpiece.WordPiece
	vocab    sugarme.Vocab // without added tokens
	unk      int32
	maxChars int // a longer word is unknown
	cache    *wordCache
}

// mostChars bounds the length of a word in characters, since the search for its pieces is quadratic.
const (
	mostChars  = 1000
	usualChars = 100
)

func newWordPiece(ids map[string]int32, m jsonModel) (*wordPiece, error) {
	unk, maxChars := valueOr(m.UnkToken, "[UNK]"), valueOr(m.MaxChars, usualChars)
	id, ok := ids[unk]
	if !ok {
		return nil, fmt.Errorf("the vocabulary lacks the unknown token %s", unk)
	}
	vocab := make(sugarme.Vocab, len(ids))
	for token, id := range ids {
		vocab[token] = int(id)
	}
	return &wordPiece{
		model: wordpiece.NewWordPieceBuilder().Vocab(&vocab).UnkToken(unk).
			ContinuingSubwordPrefix(valueOr(m.Prefix, "##")).MaxInputCharsPerWord(maxChars).Build(),
		vocab: vocab, unk: id, maxChars: maxChars, cache: newWordCache(),
	}, nil
}

// appendIDs first looks up the whole word: most words are one piece, which saves the search.
func (w *wordPiece) appendIDs(dst []int32, word string, _ *scratch) []int32 {
	if len(word) > w.maxChars && utf8.RuneCountInString(word) > w.maxChars {
		return append(dst, w.unk)
	}
	if id, ok := w.vocab[word]; ok {
		return append(dst, int32(id))
	}
	ids, slot := w.cache.get(word)
	if ids != nil {
		return append(dst, ids...)
	}
	pieces, err := w.model.Tokenize(word)
	if err != nil { // its only error is a vocabulary without the unknown token, which newWordPiece refuses
		return append(dst, w.unk)
	}
	from := len(dst)
	for _, p := range pieces {
		dst = append(dst, int32(p.Id))
	}
	w.cache.put(slot, word, dst[from:])
	return dst
}
