package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

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
	now := Evaluation{Step: t.state.Step, Epoch: t.epoch()}
	if t.state.LossSteps > 0 {
		now.TrainLoss = t.state.LossSum / float64(t.state.LossSteps)
	}
	undo, err := t.checkFloor(ctx, &now)
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
	if err := t.metrics.evaluation(now); err != nil {
		return err
	}
	t.state.History = append(t.state.History, now)
	t.state.LossSum, t.state.LossSteps = 0, 0
	t.logEvaluation(ctx, now)
	t.report(Progress{Stage: StageEvaluate, Done: len(t.state.History), Total: t.evaluations()})
	return nil
}

// compare sets the student beside the best one so far.
func (t *trainer) compare(now Evaluation) error {
	s := &t.state
	better := len(s.History) == 0 || now.Score > s.Best.Score
	switch {
	case now.BelowFloor:
		s.Done, s.Stopped = true, StopFloor
	case better:
		if err := t.folder.WriteBest(now.Step, t.student.SaveState); err != nil {
			return t.unsaved(err)
		}
		s.Best, s.Worse = now, 0
	default:
		s.Worse++
		if t.opts.Patience > 0 && s.Worse >= t.opts.Patience {
			s.Done = true
			if s.Step < t.schedule.steps() {
				s.Stopped = StopPatience
			}
		}
	}
	return nil
}

// evaluations counts those of a run that is not stopped early.
func (t *trainer) evaluations() int {
	return 1 + (t.schedule.steps()+t.evalSteps()-1)/t.evalSteps()
}

func (t *trainer) score(ctx context.Context) (float64, error) {
	defer t.profile.Evaluation.since(time.Now())
	if t.opts.Evaluate == nil && t.opts.ChooseBy == ByLoss {
		loss, err := t.stepper.meanLoss(ctx, t.stepper.data.dev, t.opts.QueriesPerStep)
		return -loss, err
	}
	if t.opts.Evaluate == nil {
		return t.evaluator.score(ctx)
	}
	score, err := t.opts.Evaluate(ctx, t.student)
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
	if !t.opts.evaluates() {
		result.Best = Evaluation{Step: t.state.Step, Epoch: float64(t.opts.Epochs)}
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
