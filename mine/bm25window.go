package mine

import (
	"context"
	"encoding/binary"
)

// windowSize is the number of passages scored at a time, so that their scores fit into the first-level cache.
const windowSize = 4096

// window holds the scores of consecutive passages and which of them are not 0: every impact is above 0.
type window struct {
	score   [windowSize]float64
	touched [windowSize + 1]uint16 // one element more: the next element is written before it is known to count
	n       int                    // of touched
}

func (w *window) reset() {
	for _, at := range w.touched[:w.n] {
		w.score[at] = 0
	}
	w.n = 0
}

// accumulate computes the scores of all passages that contain one of the terms, one window at a time, and calls yield
// with the index of the window's first passage. It adds the terms in order, so that every method returns the same sum
// for a passage. It consumes the postings.
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

// nextPassage returns the lowest current passage of the terms.
func nextPassage(terms []postings) (passage uint32, some bool) {
	for i := range terms {
		if t := &terms[i]; !t.ended && (!some || t.passage < passage) {
			passage, some = t.passage, true
		}
	}
	return passage, some
}

// accumulateTerm adds the contribution of a term to the passages of the window. It inlines [postings.advance], because
// a search spends its time here.
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
