package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
)

// What is wrong with the loss of a step, inside a StepError.
var (
	ErrNonFiniteLoss = errors.New("the loss is not finite")
	ErrExplodingLoss = errors.New("the loss explodes")
)

// StepError says which step of Train failed.
type StepError struct {
	Step, Steps int      // from 1, of the run
	Queries     []string // ids of the step's lists
	// Checkpoint is the folder of the last good checkpoint and CheckpointStep how many steps it holds; empty and 0 where
	// there is none.
	Checkpoint     string
	CheckpointStep int
	Err            error
}

// namedQueries is how many queries of a step an error names.
const namedQueries = 20

func (e *StepError) Error() string {
	var ids []string
	for i, id := range e.Queries {
		if i == namedQueries {
			ids = append(ids, fmt.Sprintf("and %d more", len(e.Queries)-i))
			break
		}
		ids = append(ids, fmt.Sprintf("%q", id))
	}
	return fmt.Sprintf("distill: step %d of %d: %v; its lists are those of the queries %s; %s",
		e.Step, e.Steps, e.Err, strings.Join(ids, ", "), lastGood(e.Checkpoint, e.CheckpointStep))
}

// Unwrap returns what went wrong.
func (e *StepError) Unwrap() error { return e.Err }

// lastGood names the checkpoint that training can go on from.
func lastGood(dir string, step int) string {
	if dir == "" {
		return "there is no checkpoint"
	}
	return fmt.Sprintf("the last good checkpoint is that of step %d in %s", step, dir)
}

// lastGood returns the folder and the step of the last good checkpoint; an empty folder where there is none.
func (t *trainer) lastGood() (dir string, step int) {
	if t.opts.Checkpoints.Dir == "" || t.savedStep < 0 {
		return "", 0
	}
	return t.opts.Checkpoints.Dir, t.savedStep
}

// stepFailed makes an error of one in the step at hand, or in the one that was just finished where the loss exploded. The
// end of the context or the loss of a worker is no failure of a step.
func (t *trainer) stepFailed(ctx context.Context, batch []*example, err error) error {
	step, steps := t.state.Step, t.schedule.steps()
	if !errors.Is(err, ErrExplodingLoss) {
		step++
	}
	if ctx.Err() != nil || errors.Is(err, ErrWorkerLost) {
		return fmt.Errorf("distill: step %d of %d: %w", step, steps, err)
	}
	failed := &StepError{Step: step, Steps: steps, Err: err}
	for _, e := range batch {
		failed.Queries = append(failed.Queries, e.id)
	}
	failed.Checkpoint, failed.CheckpointStep = t.lastGood()
	return failed
}

// lossWindow is the number of steps over which a loss is judged: a single list may well be hard.
const lossWindow = 10

// leastStart keeps the ratio to a start that is almost perfect from exploding.
const leastStart = 0.01

// watchLoss returns ErrExplodingLoss where the mean loss of the last steps is above MaxLossRise times the highest of the
// run's first steps.
func (t *trainer) watchLoss(loss float64) error {
	s := &t.state
	if s.Step <= lossWindow {
		s.StartLoss = max(s.StartLoss, loss, leastStart)
	}
	s.RecentLosses = append(s.RecentLosses, loss)
	s.RecentLosses = s.RecentLosses[max(0, len(s.RecentLosses)-lossWindow):]
	if t.opts.Schedule.MaxLossRise == 0 || s.Step <= lossWindow || s.StartLoss == 0 { // 0: a checkpoint of an older version
		return nil
	}
	var mean float64
	for _, l := range s.RecentLosses {
		mean += l / float64(len(s.RecentLosses))
	}
	if mean <= t.opts.Schedule.MaxLossRise*s.StartLoss {
		return nil
	}
	return fmt.Errorf("%w: its mean over the last %d steps is %.4g, that of no step of the first %d was above %.4g; "+
		"a lower LR or more Warmup may help, and Schedule.MaxLossRise says what is too high", ErrExplodingLoss, len(s.RecentLosses), mean, lossWindow, s.StartLoss)
}

// checkLoss returns ErrNonFiniteLoss where a loss is not finite.
func checkLoss(loss float64) error {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("%w: %v", ErrNonFiniteLoss, loss)
	}
	return nil
}
