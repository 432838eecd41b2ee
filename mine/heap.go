package mine

import (
	"cmp"
	"fmt"
	"slices"
)

// best keeps the k best offered hits in a binary heap with the worst hit on top.
type best struct {
	k    int
	hits []Hit
}

// offer adds a hit if it is among the k best so far.
func (b *best) offer(h Hit) {
	if len(b.hits) < b.k {
		b.hits = append(b.hits, h)
		b.up(len(b.hits) - 1)
		return
	}
	if better(h, b.hits[0]) {
		b.hits[0] = h
		b.down()
	}
}

// floor returns the score that a hit must exceed, or equal with a lower index, to be kept; false if the heap is not
// full.
func (b *best) floor() (float32, bool) {
	if len(b.hits) < b.k {
		return 0, false
	}
	return b.hits[0].Score, true
}

// ranked returns the hits best first. The heap must not be used afterwards.
func (b *best) ranked() []Hit {
	slices.SortFunc(b.hits, compareHits)
	return b.hits
}

func (b *best) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !better(b.hits[parent], b.hits[i]) {
			return
		}
		b.hits[parent], b.hits[i] = b.hits[i], b.hits[parent]
		i = parent
	}
}

func (b *best) down() {
	i := 0
	for {
		worst := 2*i + 1
		if worst >= len(b.hits) {
			return
		}
		if right := worst + 1; right < len(b.hits) && better(b.hits[worst], b.hits[right]) {
			worst = right
		}
		if !better(b.hits[i], b.hits[worst]) {
			return
		}
		b.hits[i], b.hits[worst] = b.hits[worst], b.hits[i]
		i = worst
	}
}

// better reports whether a ranks before b: by descending score, then by ascending index.
func better(a, b Hit) bool {
	return a.Score > b.Score || a.Score == b.Score && a.Index < b.Index
}

func compareHits(a, b Hit) int {
	if c := cmp.Compare(b.Score, a.Score); c != 0 {
		return c
	}
	return cmp.Compare(a.Index, b.Index)
}

func checkK(k int) error {
	if k < 1 {
		return fmt.Errorf("k is %d, want at least 1", k)
	}
	return nil
}
