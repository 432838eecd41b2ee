package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/retort-ir/retort/internal/checkpoint"
)

// Trainer makes the steps of a training and measures its model.
type Trainer interface {
	// Step makes a step, 0 <= step < Schedule.Steps(), and returns its mean loss. On an error the model is as it was
	// before.
	Step(ctx context.Context, step int) (loss float64, err error)
	// Evaluate fills in what it measures: Score and, where there is one, the result of the retention. It may change the
	// model. undo, where not nil, takes that back where the evaluation cannot be finished, after an error of Evaluate
	// too.
	Evaluate(ctx context.Context, now *Evaluation) (undo func() error, err error)
	// Save writes the model with all that later steps depend on, and Load restores it.
	Save(w io.Writer) error
	Load(f *checkpoint.File) error
	// SaveBest writes what the trainer needs of the best model at the end.
	SaveBest(w io.Writer) error
}

// Group are workers that train one model together. All of them run the loop; one leads.
type Group interface {
	// Leads says whether this worker evaluates, decides and writes.
	Leads() bool
	// ShareModel gives all workers the leader's model.
	ShareModel(ctx context.Context) error
	// ShareDecision gives all workers the leader's State after an evaluation, and the model where the evaluation
	// changed it.
	ShareDecision(ctx context.Context) error
	// Lost says whether an error means that another worker is lost, which leaves this one's model as it was.
	Lost(err error) bool
}

// Loop trains. Set its exported fields, call Open, Run and at the end Close. It belongs to one goroutine.
type Loop struct {
	Package    string // begins errors: "distill"
	DirSetting string // the setting of Dir, for errors
	Trainer    Trainer
	Group      Group // nil: one worker
	Schedule   *Schedule

	Evaluates   bool // without evaluations the last model is the best
	EvalSteps   int  // steps between evaluations; 0 means an epoch
	Patience    int  // training ends after this many evaluations in a row without a better one; 0 means never
	MaxLossRise float64

	// Dir is the folder of checkpoints; empty means none, and the best model is kept in a folder of its own until
	// Close.
	Dir   string
	Every time.Duration // between checkpoints; there is one after each evaluation too, and one when the context ends

	// State says how far training is. Saved points to what a checkpoint holds, State included.
	State *State
	Saved any
	// Resumed says that State is a checkpoint's.
	Resumed bool

	// StepError wraps what went wrong in a step, from 1. nil names the step alone.
	StepError func(step int, err error) error
	// OnEvaluation, OnCheckpoint and OnDamage are told of evaluations, of checkpoints, before and after they are
	// written, and of the damage for which a last checkpoint of a step was passed over.
	OnEvaluation func(Evaluation)
	OnCheckpoint func(Checkpoint)
	OnDamage     func(damage error, step int)

	folder    *checkpoint.Folder // nil where this worker does not lead
	saved     time.Time          // when the last checkpoint was written, or training began
	savedStep int                // of that checkpoint; -1: there is none
}

// Run trains until the end, from the checkpoint that Open has found on. When the context ends, Run writes a checkpoint
// of the last finished step and returns the context's error; after any other error of a step or evaluation the last
// checkpoint stays, since what broke the model may have broken its state.
func (l *Loop) Run(ctx context.Context) error {
	l.savedStep = -1
	if l.Resumed {
		if err := l.load(ctx); err != nil {
			return err
		}
		l.savedStep = l.State.Step
	} else {
		l.State.PartDone = true // the untouched model is evaluated first
	}
	l.saved = time.Now()
	for !l.State.Done {
		advance := l.step
		if l.State.PartDone {
			advance = l.finishPart
		}
		if err := advance(ctx); err != nil {
			return errors.Join(err, l.saveAtEnd(ctx, err))
		}
	}
	return nil
}

func (l *Loop) leads() bool { return l.Group == nil || l.Group.Leads() }

func (l *Loop) step(ctx context.Context) error {
	s, total := l.State, l.Schedule.Steps()
	number := s.Step + 1
	loss, err := l.Trainer.Step(ctx, s.Step)
	if err == nil {
		s.Step++
		s.LossSum += loss
		s.LossSteps++
		err = s.watchLoss(loss, l.MaxLossRise)
	}
	if err != nil {
		return l.stepError(ctx, number, err)
	}
	s.PartDone = s.Step%l.evalSteps() == 0 || s.Step == total
	if time.Since(l.saved) >= l.Every {
		return l.checkpoint()
	}
	return nil
}

// stepError says which step failed. The end of the context or the loss of a worker is no failure of the step.
func (l *Loop) stepError(ctx context.Context, step int, err error) error {
	if l.StepError != nil && ctx.Err() == nil && !l.lost(err) {
		return l.StepError(step, err)
	}
	return fmt.Errorf("%s: step %d of %d: %w", l.Package, step, l.Schedule.Steps(), err)
}

func (l *Loop) lost(err error) bool { return l.Group != nil && l.Group.Lost(err) }

func (l *Loop) evalSteps() int {
	if l.EvalSteps > 0 {
		return l.EvalSteps
	}
	return l.Schedule.StepsPerEpoch()
}

// finishPart comes after the steps between two evaluations: it evaluates the model, keeps it if it is the best so far,
// decides whether to stop, and writes a checkpoint.
func (l *Loop) finishPart(ctx context.Context) error {
	if l.leads() {
		if l.Evaluates {
			if err := l.evaluate(ctx); err != nil {
				return err
			}
		}
		l.State.PartDone = false
		l.State.Done = l.State.Done || l.State.Step == l.Schedule.Steps()
	}
	if err := l.checkpoint(); err != nil {
		return err
	}
	if l.Group == nil {
		return nil
	}
	return l.Group.ShareDecision(ctx)
}

func (l *Loop) evaluate(ctx context.Context) (err error) {
	s, start := l.State, time.Now()
	now := Evaluation{Step: s.Step, Epoch: l.Schedule.Passes(s.Step)}
	if s.LossSteps > 0 {
		now.TrainLoss = s.LossSum / float64(s.LossSteps)
	}
	undo, err := l.Trainer.Evaluate(ctx, &now)
	defer func() {
		if err != nil && undo != nil {
			err = errors.Join(err, undo())
		}
	}()
	if err != nil {
		return fmt.Errorf("%s: evaluation after step %d: %w", l.Package, s.Step, err)
	}
	if err := l.compare(now); err != nil {
		return err
	}
	s.History = append(s.History, now)
	s.LossSum, s.LossSteps = 0, 0
	now.Took = time.Since(start)
	l.OnEvaluation(now)
	return nil
}

// compare sets the model beside the best one so far.
func (l *Loop) compare(now Evaluation) error {
	s := l.State
	switch {
	case now.Forgot:
		s.Done, s.Stopped = true, StopRetention
	case len(s.History) == 0 || now.Score > s.Best.Score:
		if err := l.folder.WriteBest(now.Step, l.Trainer.SaveBest); err != nil {
			return l.unsaved(err)
		}
		s.Best, s.Worse = now, 0
	default:
		s.Worse++
		if l.Patience > 0 && s.Worse >= l.Patience {
			s.Done = true
			if s.Step < l.Schedule.Steps() {
				s.Stopped = StopPatience
			}
		}
	}
	return nil
}
