package distill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/checkpoint"
)

// ChooseBy says what makes a student better than another on held-out lists.
type ChooseBy uint8

const (
	// ByNDCG is the highest nDCG@10 with the teacher's scores as gains: how the student ranks.
	ByNDCG ChooseBy = iota
	// ByLoss is the lowest loss of training, in steps of QueriesPerStep held-out lists: it also sees how far apart the
	// scores are. Evaluation.Score is its negative.
	ByLoss
)

func (c ChooseBy) String() string {
	switch c {
	case ByNDCG:
		return "nDCG@10"
	case ByLoss:
		return "loss"
	}
	return fmt.Sprintf("ChooseBy(%d)", uint8(c))
}

// evaluate keeps the student if it is the best so far, and decides whether to stop. After an error the student is as it was.
func (t *trainer) evaluate(ctx context.Context) (err error) {
	start := time.Now()
	now := retort.Evaluation{Step: t.state.Step, Epoch: t.epoch()}
	if t.state.LossSteps > 0 {
		now.TrainLoss = t.state.LossSum / float64(t.state.LossSteps)
	}
	undo, err := t.checkRetention(ctx, &now)
	defer func() {
		if err != nil {
			err = errors.Join(err, undo())
		}
	}()
	if err == nil {
		now.Score, err = t.score(ctx)
	}
	if err != nil {
		return fmt.Errorf("distill: evaluation after step %d: %w", t.state.Step, err)
	}
	if err := t.compare(now); err != nil {
		return err
	}
	t.state.History = append(t.state.History, now)
	t.state.LossSum, t.state.LossSteps = 0, 0
	now.Took = time.Since(start)
	t.events.Evaluation(now)
	t.warnOfForgetting(now)
	return nil
}

func (t *trainer) warnOfForgetting(e retort.Evaluation) {
	step, score := slog.Int("step", e.Step), slog.Float64("retention", e.Retention)
	if e.DrawnBack > 0 {
		t.warn("the student forgot too much and was drawn back", step, slog.Float64("share", e.DrawnBack), score)
	}
	if e.Forgot {
		t.warn("the student forgot too much, training ends", step, score, slog.Float64("limit", t.state.RetentionLimit))
	}
}

func (t *trainer) warn(message string, attrs ...slog.Attr) {
	t.events.Warning(retort.Warning{Message: message, Attrs: attrs})
}

// compare sets the student beside the best one so far.
func (t *trainer) compare(now retort.Evaluation) error {
	s := &t.state
	better := len(s.History) == 0 || now.Score > s.Best.Score
	switch {
	case now.Forgot:
		s.Done, s.Stopped = true, StopRetention
	case better:
		if err := t.folder.WriteBest(now.Step, t.student.SaveState); err != nil {
			return t.unsaved(err)
		}
		s.Best, s.Worse = now, 0
	default:
		s.Worse++
		if t.opts.Selection.Patience > 0 && s.Worse >= t.opts.Selection.Patience {
			s.Done = true
			if s.Step < t.schedule.steps() {
				s.Stopped = StopPatience
			}
		}
	}
	return nil
}

func (t *trainer) score(ctx context.Context) (float64, error) {
	if t.opts.Selection.Evaluate == nil && t.opts.Selection.ChooseBy == ByLoss {
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

// finish brings the best student back.
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
		Best: t.state.Best, Alpha: 1, History: t.state.History, Steps: t.state.Step, TotalSteps: t.schedule.steps(), Stopped: t.state.Stopped,
		TrainLists: len(t.stepper.data.train), DevLists: len(t.stepper.data.dev),
	}
	if !t.opts.Selection.evaluates() {
		result.Best = retort.Evaluation{Step: t.state.Step, Epoch: float64(t.opts.Schedule.Epochs)}
		return result, nil
	}
	result.AlphaScore = result.Best.Score
	if t.state.Best.Step != t.state.Step {
		if err := loadState(checkpoint.BestPath(t.folder.Dir(), t.state.Best.Step), t.student); err != nil {
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
