package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/strictjson"
)

// unigram finds the most likely segmentation of a piece (Kudo 2018, arXiv 1804.10959) with Viterbi's algorithm.
type unigram struct {
	trie     trie // to ids
	scores   []float64
	unk      int32
	unkScore float64
	fallback *[256]int32 // ids of <0x00> to <0xFF> in place of the unknown token, or nil
}

// unkPenalty is how far the score of an unknown character is below the lowest score of a token, as in sentencepiece.
const unkPenalty = 10

// jsonScored is ["token", score].
type jsonScored struct {
	token string
	score float64
}

func (s *jsonScored) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := strictjson.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("entry %s: want a token and its score", data)
	}
	if err := strictjson.Unmarshal(parts[0], &s.token); err != nil {
		return err
	}
	return strictjson.Unmarshal(parts[1], &s.score)
}

func (u *unigram) appendIDs(dst []int32, text string, s *scratch) []int32 {
	best := s.lattice[:0]
	for range len(text) + 1 {
		best = append(best, arc{start: -1})
	}
	s.lattice = best
	best[0].start = 0
	for start := 0; start < len(text); {
		_, char := utf8.DecodeRuneInString(text[start:])
		single := false // a token of one character leads on from here
		relax := func(end int, score float64, id int32) {
			score += best[start].score
			if best[end].start < 0 || score > best[end].score {
				best[end] = arc{score, int32(start), id}
			}
		}
		node := int32(0)
		for i := start; i < len(text); i++ {
			if node = u.trie.next(node, text[i]); node == 0 {
				break
			}
			if id := u.trie.values[node]; id >= 0 {
				relax(i+1, u.scores[id], id)
				single = single || i+1 == start+char
			}
		}
		if !single {
			relax(start+char, u.unkScore, u.unk)
		}
		start += char
	}
	from := len(dst)
	for end := len(text); end > 0; {
		start := int(best[end].start)
		if best[end].id != u.unk {
			dst = append(dst, best[end].id)
			end = start
			continue
		}
		for start > 0 && best[start].id == u.unk {
			start = int(best[start].start)
		}
		dst = u.appendUnknown(dst, text[start:end])
		end = start
	}
	slices.Reverse(dst[from:])
	return dst
}

// appendUnknown appends the ids of a run of unknown characters, the last one first: the id of a token that equals the
// text ("<unk>"), or the ids of the text's bytes, or the unknown token once.
func (u *unigram) appendUnknown(dst []int32, text string) []int32 {
	if id, n := u.trie.longest(text); n == len(text) {
		return append(dst, id)
	}
	if u.fallback == nil {
		return append(dst, u.unk)
	}
	for i := len(text) - 1; i >= 0; i-- {
		dst = append(dst, u.fallback[text[i]])
	}
	return dst
}
