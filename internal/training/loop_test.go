package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// errKilled ends a run as a kill would: the loop has no occasion to save anything.
var errKilled = errors.New("killed")

// A run ends at random moments, within steps, evaluations and files that are written, until it comes through: with the
// same bits as an undisturbed one.
func TestARunThatWasEndedGoesOnToTheSameBits(t *testing.T) {
	for name, c := range map[string]struct {
		settings
		cancel bool
		within int // hooks to an end
	}{
		"killed": {settings{evaluates: true}, false, 20},
		"killed, checkpoints at evaluations only": {settings{evaluates: true, every: time.Hour}, false, 20},
		"killed, no evaluations":                  {settings{}, false, 20},
		"killed, patience":                        {settings{evaluates: true, patience: 1}, false, 6},
		"cancelled":                               {settings{evaluates: true, every: time.Hour}, true, 20},
		"cancelled, no evaluations":               {settings{every: time.Hour}, true, 8},
		"cancelled, patience":                     {settings{evaluates: true, every: time.Hour, patience: 1}, true, 4},
	} {
		t.Run(name, func(t *testing.T) {
			want := undisturbed(t, c.settings)
			r := rand.New(rand.NewPCG(4, 4))
			c.dir = t.TempDir()
			ends, steps := 0, 0
			for {
				ctx, cancel := context.WithCancel(t.Context())
				left := 1 + r.IntN(c.within)
				c.hook = func(at string) error {
					left--
					switch {
					case left == 0 && !c.cancel:
						return errKilled
					case left == 0:
						cancel()
					case at == "step" && ctx.Err() == nil:
						steps++
					}
					return nil
				}
				got := newLearner(c.settings)
				err := got.train(ctx)
				cancel()
				if err != nil {
					require.Equal(t, c.cancel, errors.Is(err, context.Canceled), err)
					require.Equal(t, !c.cancel, errors.Is(err, errKilled), err)
					ends++
					require.Less(t, ends, 1000)
					continue
				}
				if c.cancel {
					require.Equal(t, want.state.Step, steps, "each step is made once")
				}
				requireSame(t, want, got)
				break
			}
			require.Greater(t, ends, 1)

			c.hook = func(at string) error { return fmt.Errorf("%s: a finished run is not run again", at) }
			again := newLearner(c.settings)
			require.NoError(t, again.train(t.Context()))
			requireSame(t, want, again)
		})
	}
}

func TestACancelledRunLeavesACheckpointOfItsLastStep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	s := settings{dir: t.TempDir(), every: time.Hour, hook: func(at string) error {
		if at == "step" {
			if n++; n == 8 {
				cancel()
			}
		}
		return nil
	}}
	err := newLearner(s).train(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "fake: step 8 of 20: context canceled")
	last, err := LastState(s.dir)
	require.NoError(t, err)
	require.Equal(t, 7, last.Step)

	// A run that is cancelled before it has made a step writes nothing anew.
	again := newLearner(s)
	require.ErrorIs(t, again.train(ctx), context.Canceled)
	require.Empty(t, again.events)
}

func TestEvaluationsChooseAndEndTheRun(t *testing.T) {
	scores := func(values ...float64) func(int) Evaluation {
		return func(n int) Evaluation {
			return Evaluation{Score: values[min(n, len(values)-1)], Forgot: values[min(n, len(values)-1)] == 99}
		}
	}
	for name, c := range map[string]struct {
		patience    int
		score       func(int) Evaluation
		best, steps int
		stopped     Stop
	}{
		"the highest":               {0, scores(1, 5, 3, 4), 3, 20, ""},
		"equals: the first":         {0, scores(1, 5, 5, 5), 3, 20, ""},
		"the untouched":             {0, scores(1, 0, 0, 0), 0, 20, ""},
		"patience":                  {2, scores(1, 5, 3, 4, 6), 3, 9, StopPatience},
		"patience at the last step": {7, scores(9, 1), 0, 20, ""},
		"forgotten":                 {0, scores(1, 5, 99), 3, 6, StopRetention},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLearner(settings{evaluates: true, patience: c.patience, score: c.score})
			require.NoError(t, l.train(t.Context()))
			require.Equal(t, c.best, l.state.Best.Step)
			require.Equal(t, c.steps, l.state.Step)
			require.Equal(t, c.stopped, l.state.Stopped)
			require.Len(t, l.evaluations, len(l.state.History))
			for i, e := range l.evaluations {
				require.Positive(t, e.Took)
				e.Took = 0
				require.Equal(t, l.state.History[i], e)
				require.Equal(t, i > 0, e.TrainLoss > 0)
				require.Equal(t, float64(e.Step)/5, e.Epoch)
			}
		})
	}
}

// The model of a failed evaluation, or of one whose best model cannot be written, is as after its last step.
func TestAFailedEvaluationIsTakenBack(t *testing.T) {
	sixSteps := func(evaluates bool, failing string) *learner {
		var l *learner
		l = newLearner(settings{
			evaluates: evaluates, every: time.Hour, score: rising,
			hook: func(at string) error {
				if l.state.Step == 6 && at == failing {
					return errKilled
				}
				return nil
			},
		})
		require.ErrorIs(t, l.train(t.Context()), errKilled)
		require.Equal(t, 6, l.state.Step)
		return l
	}
	want := sixSteps(false, "step").Weight
	require.Equal(t, want/2, sixSteps(true, "step").Weight, "an evaluation changes the model")
	require.Equal(t, want, sixSteps(true, "evaluate").Weight)
	require.Equal(t, want, sixSteps(true, "save best").Weight)
}

func TestALossThatExplodesEndsTheRun(t *testing.T) {
	for _, c := range []struct {
		lr, rise float64
		explodes bool
	}{{2, 20, true}, {2, 0, false}, {.1, 20, false}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			named := 0
			l := newLearner(settings{lr: c.lr, rise: c.rise, stepError: func(step int, err error) error {
				named = step
				return fmt.Errorf("named: %w", err)
			}})
			l.loop.Schedule.Epochs = 20
			err := l.train(t.Context())
			if !c.explodes {
				require.NoError(t, err)
				require.False(t, math.IsNaN(l.Weight))
				return
			}
			require.ErrorIs(t, err, ErrExplodingLoss)
			require.ErrorContains(t, err, "named: ")
			require.Equal(t, l.state.Step, named)
			require.Greater(t, named, lossWindow)
		})
	}
}

func TestASingleHardStepIsNoExplosion(t *testing.T) {
	for _, c := range []struct {
		name   string
		losses []float64
		at     int // 0: never
	}{
		{"one hard step", append(repeat(1, 15), append([]float64{100}, repeat(1, 15)...)...), 0},
		{"the start is hard", append(repeat(100, 10), repeat(1900, 20)...), 0},
		{"a rise", append(repeat(1, 10), repeat(25, 20)...), 18},
		{"a start that is almost perfect", append(repeat(1e-9, 10), repeat(.15, 20)...), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s State
			at := 0
			for _, loss := range c.losses {
				s.Step++
				if err := s.watchLoss(loss, 20); err != nil && at == 0 {
					at = s.Step
				}
			}
			require.Equal(t, c.at, at)
		})
	}
}

func repeat(v float64, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = v
	}
	return all
}

func TestWithoutAFolderNothingIsLeftBehind(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	undisturbed(t, settings{evaluates: true})
	l := newLearner(settings{evaluates: true, hook: func(at string) error {
		if at == "step" {
			return errKilled
		}
		return nil
	}})
	require.ErrorIs(t, l.train(t.Context()), errKilled)
	entries, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, entries)
}
