package teacher

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// IndexScorer scores passages of its corpus by index, one score per index; mine.BM25 implements it.
type IndexScorer interface {
	Score(query string, indices []int) ([]float64, error)
}

// FromIndex returns a ranker over the corpus as a teacher. Passages must be in the corpus; another passage is an error.
// The teacher has a fingerprint if the ranker has one.
func FromIndex(corpus retort.Corpus, ranker IndexScorer) Teacher {
	t := Func(func(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		indices := make([]int, len(passages))
		for i, p := range passages {
			index, ok := corpus.Index(p.ID)
			if !ok {
				return nil, fmt.Errorf("passage %q is not in the corpus of the ranker", p.ID)
			}
			indices[i] = index
		}
		return ranker.Score(q.Text, indices)
	})
	if f, ok := ranker.(encoder.Fingerprinter); ok {
		return WithFingerprint(t, "index "+f.Fingerprint())
	}
	return t
}
