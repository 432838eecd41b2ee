package distill

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/training"
)

// Retention guards against forgetting: fine-tuning can make a student worse on data that it is not trained for, such as
// judged queries of another domain. It is measured at every evaluation. A student whose score is below the limit is
// never the best student.
type Retention struct {
	// Evaluate returns a score, higher is better; nil disables retention.
	Evaluate func(ctx context.Context, student encoder.Encoder) (float64, error)
	// MaxDrop is the largest allowed drop below the initial student's score, >= 0, in the unit of the score.
	MaxDrop float64
	// DrawBack holds interpolation weights in (0,1). If the score of a student is below the limit, its weights become
	// start + share (student - start) for the largest share that satisfies the limit, and training continues. If no
	// share satisfies it, or there are none, training ends. The student must implement encoder.Parametric.
	DrawBack []float64
}

func (r Retention) validate() error {
	if err := firstWrong(number{field: "Retention.MaxDrop", value: r.MaxDrop}.finite(0)); err != nil {
		return err
	}
	for _, share := range r.DrawBack {
		if !(share > 0 && share < 1) {
			return fmt.Errorf("Retention.DrawBack holds %v, want all in (0,1)", share)
		}
	}
	return nil
}

// checkRetention measures retention and interpolates the student with the initial weights if necessary. undo restores
// the student.
func (t *trainer) checkRetention(ctx context.Context, now *training.Evaluation) (undo func() error, err error) {
	undo = func() error { return nil }
	if t.opts.Retention.Evaluate == nil {
		return undo, nil
	}
	if now.Retention, err = t.retentionScore(ctx); err != nil {
		return undo, err
	}
	if len(t.state.History) == 0 {
		t.state.RetentionLimit = now.Retention - t.opts.Retention.MaxDrop
	}
	if now.Retention >= t.state.RetentionLimit {
		return undo, nil
	}
	now.Forgot = true
	if len(t.opts.Retention.DrawBack) == 0 {
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
	if now.Forgot {
		return undo, undo()
	}
	return undo, nil
}

func (t *trainer) drawBack(ctx context.Context, trained Weights, now *training.Evaluation) error {
	shares := slices.Sorted(slices.Values(t.opts.Retention.DrawBack))
	for _, share := range slices.Backward(shares) {
		if err := SetInterpolated(t.student, t.start, trained, share); err != nil {
			return err
		}
		score, err := t.retentionScore(ctx)
		if err != nil {
			return err
		}
		if score >= t.state.RetentionLimit {
			now.Retention, now.Forgot, now.DrawnBack = score, false, share
			return nil
		}
	}
	return nil
}

func (t *trainer) retains(ctx context.Context) (bool, error) {
	if t.opts.Retention.Evaluate == nil {
		return true, nil
	}
	score, err := t.retentionScore(ctx)
	return score >= t.state.RetentionLimit, err
}

func (t *trainer) retentionScore(ctx context.Context) (float64, error) {
	score, err := t.opts.Retention.Evaluate(ctx, t.student)
	if err != nil {
		return 0, fmt.Errorf("Retention: %w", err)
	}
	if math.IsNaN(score) || math.IsInf(score, 0) {
		return 0, fmt.Errorf("Options.Retention.Evaluate returned %v", score)
	}
	return score, nil
}
