package teacher

import (
	"context"
	"fmt"
	"math"

	"github.com/retort-ir/retort"
)

// Teacher scores passages for a query. Implementations are safe for concurrent use.
type Teacher interface {
	// Score returns one score a passage, in their order; higher is better. The scale is the teacher's own. NaN says
	// that the teacher cannot score that passage; a failure that may pass (a timeout, a full disk) is an error instead.
	Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error)
}

// Func is a function as a Teacher. Give it a fingerprint with WithFingerprint to cache its scores.
type Func func(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error)

// Score calls f.
func (f Func) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	return f(ctx, q, passages)
}

// Score calls t and checks what comes back: as many scores as passages, none infinite. A missing score (NaN) becomes
// the lowest of the list's other scores, since what a teacher cannot score is as bad as the worst that it has seen
// there; all are 0 where every score is missing. So the result is finite. Errors name the query and the passage.
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
