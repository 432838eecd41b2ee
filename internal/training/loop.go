package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/retort-ir/retort/internal/checkpoint"
)

// Trainer makes the steps of a training and evaluates its model.
type Trainer interface {
	// Step makes a step, 0 <= step < Schedule.Steps(), and returns its mean loss. After an error the model is unchanged.
	Step(ctx context.Context, step int) (loss float64, err error)
	// Evaluate sets Score and, if it is measured, the retention. It may change the model. undo, if not nil, reverts the
	// change; the loop calls it if the evaluation fails, after an error of Evaluate too.
	Evaluate(ctx context.Context, now *Evaluation) (undo func() error, err error)
	// Save writes the model and all other state that later steps depend on, and Load restores them.
	Save(w io.Writer) error
	Load(f *checkpoint.File) error
	// SaveBest writes what the trainer needs of the best model at the end.
	SaveBest(w io.Writer) error
}

// Group is a group of workers that train one model. All workers run the loop; one leads.
type Group interface {
	// Leads says whether this worker evaluates, decides and writes.
	Leads() bool
	// ShareModel sends the leader's model to all workers.
	ShareModel(ctx context.Context) error
	// ShareDecision sends the leader's State after an evaluation, and the model if the evaluation changed it, to all
	// workers.
	ShareDecision(ctx context.Context) error
	// Lost says whether an error means that another worker is lost. Such an error leaves this worker's model unchanged.
	Lost(err error) bool
}

// Loop trains. Set the exported fields, then call Open, Run and Close. It is not safe for concurrent use.
type Loop struct {
	Package    string // prefix of errors: "distill"
	DirSetting string // name of the setting of Dir, for errors
	Trainer    Trainer
	Group      Group // nil: one worker
	Schedule   *Schedule

	Evaluates   bool // without evaluations the last model is the best
	EvalSteps   int  // steps between evaluations; 0 means an epoch
	Patience    int  // training ends after this many evaluations in a row without a better one; 0 means never
	MaxLossRise float64

	// Dir is the folder of checkpoints. Empty means no checkpoints; a temporary folder then holds the best model until
	// Close.
	Dir   string
	Every time.Duration // between checkpoints, besides those after evaluations and at the end of the context

	// State is the state of the training. Saved points to the content of a checkpoint, which includes State.
	State *State
	Saved any
	// Resumed says that State comes from a checkpoint.
	Resumed bool

	// StepError wraps the error of a step, counted from 1. nil only adds the step.
	StepError func(step int, err error) error
	// OnEvaluation is called after an evaluation, OnCheckpoint before and after a checkpoint is written, and OnDamage
	// with the damage of a skipped checkpoint and the step of the checkpoint in use.
	OnEvaluation func(Evaluation)
	OnCheckpoint func(Checkpoint)
	OnDamage     func(damage error, step int)

	folder    *checkpoint.Folder // nil if this worker does not lead
	saved     time.Time          // time of the last checkpoint, or of the start
	savedStep int                // step of the last checkpoint; -1: none
}

// Run trains to the end, from the checkpoint that Open has found. When the context ends, Run writes a checkpoint of the
// last finished step and returns the context's error. After any other error it keeps the last checkpoint, since the
// cause of the error may have damaged the state.
func (l *Loop) Run(ctx context.Context) error {
	l.savedStep = -1
	if l.Resumed {
		if err := l.load(ctx); err != nil {
			return err
		}
		l.savedStep = l.State.Step
	} else {
		l.State.PartDone = true // evaluate the untrained model first
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

// stepError adds the step to its error. The end of the context or the loss of a worker is not a failure of the step.
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

// finishPart follows the steps between two evaluations: it evaluates the model, saves the model if it is the best so
// far, decides whether to stop, and writes a checkpoint.
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

// compare compares the model with the best one so far.
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
