package mine

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/retort-ir/retort"
)

// HardNegatives draws negatives for contrastive training from a query's ranking: passages that rank high but are
// probably not relevant. It skips the first hits, which may be relevant without a judgement, and hits far down, which
// are too easy, and draws at random in between. The zero value has the defaults.
type HardNegatives struct {
	// From and To are the first and last rank to draw from, counted from 1 among the hits that are not positives; 0
	// means 2 and 30.
	From, To int
	// Count is the number of negatives to draw; 0 means 7.
	Count int
	// Seed seeds the draw together with the query's id, so the negatives of a query do not depend on other queries.
	Seed uint64
}

// Validate returns an error that names the field with a value out of range.
func (h HardNegatives) Validate() error {
	from, to, count := h.filled()
	switch {
	case from < 1:
		return fmt.Errorf("mine: HardNegatives.From is %d, want at least 1", h.From)
	case to < from:
		return fmt.Errorf("mine: HardNegatives.To is %d, want at least From, %d", to, from)
	case count < 1:
		return fmt.Errorf("mine: HardNegatives.Count is %d, want at least 1", h.Count)
	}
	return nil
}

// Draw returns negatives of the query from hits, the query's ranking, best first, in the order of the ranking. positive
// reports whether a passage of the corpus is relevant or similar to a relevant passage. Draw returns fewer than Count
// negatives if there are fewer between the ranks, and none if the settings are invalid.
func (h HardNegatives) Draw(q retort.Query, hits []Hit, positive func(index int) bool) []Hit {
	if h.Validate() != nil {
		return nil
	}
	from, to, count := h.filled()
	var pool []Hit
	rank := 0
	for _, hit := range hits {
		if positive(hit.Index) {
			continue
		}
		if rank++; rank > to {
			break
		}
		if rank >= from {
			pool = append(pool, hit)
		}
	}
	if len(pool) <= count {
		return pool
	}
	chosen := h.rng(q).Perm(len(pool))[:count]
	slices.Sort(chosen)
	drawn := make([]Hit, count)
	for i, k := range chosen {
		drawn[i] = pool[k]
	}
	return drawn
}

func (h HardNegatives) filled() (from, to, count int) {
	return cmp.Or(h.From, 2), cmp.Or(h.To, 30), cmp.Or(h.Count, 7)
}

func (h HardNegatives) rng(q retort.Query) *rand.Rand {
	sum := sha256.Sum256([]byte(q.ID))
	return rand.New(rand.NewPCG(h.Seed, binary.LittleEndian.Uint64(sum[:])))
}
