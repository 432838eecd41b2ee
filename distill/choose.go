package distill

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/training"
)

// Evaluate is the loop's.
func (t *trainer) Evaluate(ctx context.Context, now *training.Evaluation) (undo func() error, err error) {
	if undo, err = t.checkRetention(ctx, now); err == nil {
		now.Score, err = t.score(ctx)
	}
	return undo, err
}

// evaluated reports an evaluation.
func (t *trainer) evaluated(e training.Evaluation) {
	t.events.Evaluation(retort.Evaluation(e))
	step, score := slog.Int("step", e.Step), slog.Float64("retention", e.Retention)
	if e.DrawnBack > 0 {
		t.warn("retention fell below its limit: the student was interpolated with the initial weights", step,
			slog.Float64("share", e.DrawnBack), score)
	}
	if e.Forgot {
		t.warn("retention fell below its limit: training ends", step, score, slog.Float64("limit", t.state.RetentionLimit))
	}
}

func (t *trainer) score(ctx context.Context) (float64, error) {
	if t.opts.Selection.Evaluate == nil && t.opts.Selection.ByLoss {
		loss, err := t.stepper.meanLoss(ctx, t.stepper.data.dev, t.opts.Schedule.QueriesPerStep)
		return -loss, err
	}
	if t.opts.Selection.Evaluate == nil {
		return t.evaluator.score(ctx)
	}
	score, err := t.opts.Selection.Evaluate(ctx, t.student)
	if err == nil && (math.IsNaN(score) || math.IsInf(score, 0)) {
		err = fmt.Errorf("Options.Evaluate returned %v", score)
	}
	return score, err
}

// finish restores the best student.
func (t *trainer) finish(ctx context.Context) (result *Result, err error) {
	if t.workers.leads() {
		if result, err = t.choose(ctx); err != nil {
			return nil, err
		}
	}
	return t.shareResult(ctx, result)
}

func (t *trainer) choose(ctx context.Context) (*Result, error) {
	result := &Result{
		Best: retort.Evaluation(t.state.Best), Alpha: 1, Steps: t.state.Step, TotalSteps: t.loop.Schedule.Steps(),
		Stopped: string(t.state.Stopped), TrainLists: len(t.stepper.data.train), DevLists: len(t.stepper.data.dev),
	}
	for _, e := range t.state.History {
		result.History = append(result.History, retort.Evaluation(e))
	}
	if !t.opts.Selection.evaluates() {
		result.Best = retort.Evaluation{Step: t.state.Step, Epoch: float64(t.opts.Schedule.Epochs)}
		return result, nil
	}
	result.AlphaScore = result.Best.Score
	if t.state.Best.Step != t.state.Step {
		if err := t.loop.LoadBest(); err != nil {
			return nil, err
		}
	}
	if t.start != nil && result.Best.Step > 0 {
		if err := t.interpolate(ctx, result); err != nil {
			return nil, err
		}
	}
	return result, nil
}
