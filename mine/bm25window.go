package mine

import (
	"context"
	"encoding/binary"
)

// windowSize is how many passages are scored at a time: their scores stay in the processor's first cache, whatever the
// size of the corpus.
const windowSize = 4096

// window holds the scores of consecutive passages and which of them are not 0: every impact is above 0.
type window struct {
	score   [windowSize]float64
	touched [windowSize + 1]uint16 // with room for one more: the next place is written before it is known to count
	n       int                    // of touched
}

func (w *window) reset() {
	for _, at := range w.touched[:w.n] {
		w.score[at] = 0
	}
	w.n = 0
}

// accumulate adds up the scores of every passage that has one of the terms, a window at a time, and calls yield with
// the index of the window's first passage. A passage's sum takes the terms in their order, so that it is the same
// number everywhere. The terms' postings are used up.
func (x *BM25) accumulate(ctx context.Context, terms []postings, sums *window, yield func(first uint32)) error {
	for i := range terms {
		terms[i].advance()
	}
	for windows := 0; ; windows++ {
		if windows%256 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		next, some := nextPassage(terms)
		if !some {
			return nil
		}
		first := next / windowSize * windowSize
		for i := range terms {
			x.accumulateTerm(&terms[i], sums, first)
		}
		yield(first)
		sums.reset()
	}
}

// nextPassage returns the lowest passage that one of the terms is at.
func nextPassage(terms []postings) (passage uint32, some bool) {
	for i := range terms {
		if t := &terms[i]; !t.ended && (!some || t.passage < passage) {
			passage, some = t.passage, true
		}
	}
	return passage, some
}

// accumulateTerm adds what a term gives to the passages of the window. It is [postings.advance] in a loop, by hand: all
// of a search's time goes here.
func (x *BM25) accumulateTerm(t *postings, sums *window, first uint32) {
	norms := x.norms[first:min(int(first)+windowSize, len(x.norms))]
	if t.ended || int(t.passage-first) >= len(norms) {
		return
	}
	data, i, left := t.rest, 0, t.left
	at, tf := t.passage-first, t.tf
	n := sums.n
	for int(at) < len(norms) {
		before := sums.score[at%windowSize]
		sums.touched[n] = uint16(at)
		if before == 0 {
			n++
		}
		sums.score[at%windowSize] = before + float64(t.weight*float64(impact(t.idf, tf, norms[at])))
		if left == 0 {
			t.ended = true
			break
		}
		left--
		code := uint64(data[i])
		i++
		if code >= 0x80 {
			var size int
			code, size = binary.Uvarint(data[i-1:])
			i += size - 1
		}
		at += uint32(code>>1) + 1
		tf = 1
		if code&1 == 0 {
			code = uint64(data[i])
			i++
			if code >= 0x80 {
				var size int
				code, size = binary.Uvarint(data[i-1:])
				i += size - 1
			}
			tf = uint32(code) + 2
		}
	}
	t.rest, t.left, t.passage, t.tf = data[i:], left, first+at, tf
	sums.n = n
}
