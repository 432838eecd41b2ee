package teacher

import (
	"context"
	"fmt"
	"math"

	"github.com/retort-ir/retort"
)

// Teacher scores passages for a query. Implementations are safe for concurrent use.
type Teacher interface {
	// Score returns one score per passage, in order; higher is better. Each teacher has its own scale. NaN means that
	// the teacher cannot score the passage. A temporary failure (a timeout, a full disk) must be an error instead.
	Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error)
}

// Func is a function that implements Teacher. Use WithFingerprint to cache its scores.
type Func func(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error)

// Score calls f.
func (f Func) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	return f(ctx, q, passages)
}

// Score calls t and checks the result: one score per passage, none infinite. It replaces a missing score (NaN) by the
// lowest other score of the list, or by 0 if all scores are missing, so the result is finite. Errors name the query and
// the passage.
func Score(ctx context.Context, t Teacher, q retort.Query, passages []retort.Passage) ([]float64, error) {
	scores, err := rawScores(ctx, t, q, passages)
	if err != nil {
		return nil, err
	}
	return fillMissing(scores), nil
}

// fillMissing returns a copy of one list's scores in which each NaN is the lowest of the others, see Score.
func fillMissing(scores []float64) []float64 {
	lowest := math.Inf(1)
	for _, s := range scores {
		if s < lowest {
			lowest = s
		}
	}
	if math.IsInf(lowest, 1) {
		return make([]float64, len(scores))
	}
	filled := make([]float64, len(scores))
	for i, s := range scores {
		if math.IsNaN(s) {
			s = lowest
		}
		filled[i] = s
	}
	return filled
}

// rawScores is Score with missing scores left as NaN.
func rawScores(ctx context.Context, t Teacher, q retort.Query, passages []retort.Passage) ([]float64, error) {
	scores, err := t.Score(ctx, q, passages)
	return checkScores(q, passages, scores, err)
}

// checkScores checks a teacher's answer.
func checkScores(q retort.Query, passages []retort.Passage, scores []float64, err error) ([]float64, error) {
	if err != nil {
		return nil, fmt.Errorf("score query %q: %w", q.ID, err)
	}
	if len(scores) != len(passages) {
		return nil, fmt.Errorf("score query %q: the teacher gave %d scores for %d passages", q.ID, len(scores),
			len(passages))
	}
	for i, s := range scores {
		if math.IsInf(s, 0) {
			return nil, fmt.Errorf("score query %q: the teacher gave %v for passage %q", q.ID, s, passages[i].ID)
		}
	}
	return scores, nil
}
