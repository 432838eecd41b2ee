package distill

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ir/retort/encoder"
)

// Floor holds a student to what it could do before on queries that it is not trained for, such as judged queries of
// another domain ([JudgedQueries]) or other scored lists ([ScoredLists]): what fine-tuning may make it forget. It is asked
// at every evaluation. A student below the floor is never the best one.
type Floor struct {
	// Evaluate returns a score of which more is better; nil: no floor.
	Evaluate func(ctx context.Context, student encoder.Encoder) (float64, error)
	// MaxDrop is how far the score may fall below that of the untouched student, >= 0, in the unit of the score.
	MaxDrop float64
	// DrawBack holds shares in (0,1). A student below the floor is drawn back towards the untouched one, to
	// start + share (student - start) of the greatest share that holds, and training goes on from there. Where none does,
	// or with no shares, training ends. The student must implement encoder.Parametric.
	DrawBack []float64
}

// checkFloor asks the floor, and draws the student back where it must. undo takes that back.
func (t *trainer) checkFloor(ctx context.Context, now *Evaluation) (undo func() error, err error) {
	undo = func() error { return nil }
	if t.opts.Floor.Evaluate == nil {
		return undo, nil
	}
	if now.Floor, err = t.floorScore(ctx); err != nil {
		return undo, err
	}
	if len(t.state.History) == 0 {
		t.state.FloorLimit = now.Floor - t.opts.Floor.MaxDrop
	}
	if now.Floor >= t.state.FloorLimit {
		return undo, nil
	}
	now.BelowFloor = true
	if len(t.opts.Floor.DrawBack) == 0 {
		return undo, nil
	}
	trained, err := ReadWeights(t.student)
	if err != nil {
		return undo, err
	}
	undo = func() error { return SetInterpolated(t.student, trained, trained, 1) }
	if err := t.drawBack(ctx, trained, now); err != nil {
		return undo, err
	}
	if now.BelowFloor {
		return undo, undo()
	}
	return undo, nil
}

func (t *trainer) drawBack(ctx context.Context, trained Weights, now *Evaluation) error {
	shares := slices.Sorted(slices.Values(t.opts.Floor.DrawBack))
	for _, share := range slices.Backward(shares) {
		if err := SetInterpolated(t.student, t.start, trained, share); err != nil {
			return err
		}
		score, err := t.floorScore(ctx)
		if err != nil {
			return err
		}
		if score >= t.state.FloorLimit {
			now.Floor, now.BelowFloor, now.DrawnBack = score, false, share
			return nil
		}
	}
	return nil
}

func (t *trainer) holdsFloor(ctx context.Context) (bool, error) {
	if t.opts.Floor.Evaluate == nil {
		return true, nil
	}
	score, err := t.floorScore(ctx)
	return score >= t.state.FloorLimit, err
}

func (t *trainer) floorScore(ctx context.Context) (float64, error) {
	score, err := t.opts.Floor.Evaluate(ctx, t.student)
	if err != nil {
		return 0, fmt.Errorf("the floor: %w", err)
	}
	if math.IsNaN(score) || math.IsInf(score, 0) {
		return 0, fmt.Errorf("Options.Floor.Evaluate returned %v", score)
	}
	return score, nil
}
