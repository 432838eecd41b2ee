package tokenizer

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

// bpe is byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909) with ranked merges, over bytes (Radford et al.
// 2019) or over characters.
type bpe struct {
	bytes    *[256]int32      // ids of the bytes, -1: none; nil: over characters
	chars    map[string]int32 // over characters: the vocabulary
	fallback *[256]int32      // ids of <0x00> to <0xFF> for a character that has no token, or nil
	unk      int32            // -1: characters without token are dropped
	fuseUnk  bool             // one unk for a run of characters that have no token
	merges   pairMerges
	whole    map[string]int32 // words that are tokens without any merge (ignore_merges), or nil
	cache    *wordCache
}

// newBPE makes a model without unknown token of a vocabulary, over bytes in the byte alphabet or over characters.
func newBPE(ids map[string]int32, merges [][2]string, overBytes bool) (*bpe, error) {
	b := &bpe{unk: -1, cache: newWordCache()}
	if overBytes {
		known, missing := byteIDs(ids, alphabetName)
		if missing == len(known) {
			return nil, errors.New("the vocabulary holds no byte of the byte alphabet")
		}
		b.bytes = &known
	} else {
		b.chars = maps.Clone(ids) // added tokens are none of them
	}
	var err error
	b.merges, err = newPairMerges(merges, ids)
	return b, err
}

// takeWholeWords maps a word that is a token to that token, whatever the merges say.
func (b *bpe) takeWholeWords(ids map[string]int32) {
	b.whole = make(map[string]int32, len(ids))
	for token, id := range ids {
		raw, ok := token, true
		if b.bytes != nil {
			raw, ok = fromByteAlphabet(token)
		}
		if ok {
			b.whole[raw] = id
		}
	}
}

func (b *bpe) appendIDs(dst []int32, word string, s *scratch) []int32 {
	if id, ok := b.whole[word]; ok {
		return append(dst, id)
	}
	ids, slot := b.cache.get(word)
	if ids != nil {
		return append(dst, ids...)
	}
	m := &s.merger
	m.reset()
	b.addSymbols(m, word)
	m.run(word, b.merges)
	from := len(dst)
	if len(m.symbols) > 0 {
		for i := int32(0); i >= 0; i = m.symbols[i].next {
			dst = append(dst, m.symbols[i].id)
		}
	}
	b.cache.put(slot, word, dst[from:])
	return dst
}

func (b *bpe) addSymbols(m *merger, word string) {
	if b.bytes != nil {
		for i := range len(word) {
			b.addSymbol(m, i, i+1, b.bytes[word[i]])
		}
		return
	}
	for i, r := range word {
		end := i + utf8.RuneLen(r)
		id, ok := b.chars[word[i:end]]
		if !ok && b.fallback != nil {
			for ; i < end; i++ {
				m.add(i, i+1, b.fallback[word[i]])
			}
			continue
		}
		if !ok {
			id = -1
		}
		b.addSymbol(m, i, end, id)
	}
}

// addSymbol adds a symbol, or the unknown token where id is -1.
func (b *bpe) addSymbol(m *merger, start, end int, id int32) {
	if id >= 0 {
		m.add(start, end, id)
		return
	}
	if b.unk < 0 {
		return
	}
	last := len(m.symbols) - 1
	if b.fuseUnk && last >= 0 && m.symbols[last].id == b.unk && int(m.symbols[last].end) == start {
		m.symbols[last].end = int32(end)
		return
	}
	m.add(start, end, b.unk)
}

// pairMerges holds the merges: a pair of ids to its rank and the joined token's id.
type pairMerges map[[2]int32]rankedMerge

type rankedMerge struct{ rank, id int32 }

func (p pairMerges) join(_ string, left, right symbol) (rank, id int32, ok bool) {
	m, ok := p[[2]int32{left.id, right.id}]
	return m.rank, m.id, ok
}

// newPairMerges looks up the merges in the vocabulary.
func newPairMerges(merges [][2]string, ids map[string]int32) (pairMerges, error) {
	p := make(pairMerges, len(merges))
	for rank, m := range merges {
		left, ok := ids[m[0]]
		if !ok {
			return nil, fmt.Errorf("merge %d (%q %q): token %q is not in the vocabulary", rank, m[0], m[1], m[0])
		}
		right, ok := ids[m[1]]
		if !ok {
			return nil, fmt.Errorf("merge %d (%q %q): token %q is not in the vocabulary", rank, m[0], m[1], m[1])
		}
		joined, ok := ids[m[0]+m[1]]
		if !ok {
			return nil, fmt.Errorf("merge %d (%q %q): token %q is not in the vocabulary", rank, m[0], m[1], m[0]+m[1])
		}
		p[[2]int32{left, right}] = rankedMerge{int32(rank), joined}
	}
	return p, nil
}

// splitMerge reads a merge that is written as one string.
func splitMerge(s string) ([2]string, error) {
	left, right, ok := strings.Cut(s, " ")
	if !ok || left == "" || right == "" || strings.Contains(right, " ") {
		return [2]string{}, fmt.Errorf("merge %q, want two tokens with one space between", s)
	}
	return [2]string{left, right}, nil
}
