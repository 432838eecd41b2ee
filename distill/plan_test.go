package distill

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/goroutines"
)

// budgets are graph budgets of which none, some and all of the world's micro-batches fit.
var budgets = []int64{-1, 300, 1000, math.MaxInt64}

func TestTheGraphBudgetDoesNotChangeTheResult(t *testing.T) {
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		var states [][]byte
		for _, budget := range budgets {
			opts := quick()
			opts.Towers, opts.Memory.GraphBudget, opts.Selection.DevFraction = towers, budget, 0
			var used int64
			opts.Events.Step = func(s retort.Step) { used = s.GraphBudget }
			e := newStudent(t)
			_, err := Train(background, e, corpus, lists, opts)
			require.NoError(t, err)
			require.Equal(t, opts.graphBudget(), used)
			states = append(states, stateOf(t, e))
		}
		for _, state := range states[1:] {
			require.Equal(t, states[0], state, "bit for bit: the order of sums is the same")
		}
	}
}

func TestAStepKeepsTheGraphsThatFitItsBudgetAndComputesTheOthersAnew(t *testing.T) {
	corpus, lists := world(t)
	least := math.MaxInt
	for _, budget := range budgets {
		var open, most, kept, without int
		e := &student{Encoder: newStudent(t)}
		e.onForward = func(keep bool) error {
			open = e.OpenPasses()
			most = max(most, open)
			if keep {
				kept++
			} else {
				without++
			}
			return nil
		}
		opts := quick()
		opts.Memory.GraphBudget = budget
		s := stepperFor(t, e, corpus, lists[:9], opts)
		p, err := s.plan(t.Context(), everything(s))
		require.NoError(t, err)
		texts, batches := len(p.queries.rows)+len(p.passages.rows), len(p.queries.batches)+len(p.passages.batches)
		report, err := s.gradient(t.Context(), p)
		require.NoError(t, err)
		require.NoError(t, s.forgetGradients())
		require.Equal(t, batches, kept, "each micro-batch goes backward once")
		require.LessOrEqual(t, int64(most)*int64(e.Dim())*16, max(budget, 0), "every pass holds one text at least")
		if budget < 0 {
			require.Equal(t, batches, without)
			require.Equal(t, report.Padded, report.Recomputed)
		}
		if budget >= int64(texts*e.Dim()*16) {
			require.Zero(t, report.Recomputed)
			require.Zero(t, without)
		}
		require.LessOrEqual(t, report.Recomputed, least, "a larger budget saves more")
		least = report.Recomputed
	}
	require.Zero(t, least)
}

// An encoder that does not say what its graphs take is computed twice, whatever the budget is.
func TestWithoutAGraphSizerNoGraphIsKept(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Memory.GraphBudget = math.MaxInt64
	s := stepperFor(t, struct{ encoder.Trainable }{newStudent(t)}, corpus, lists[:3], opts)
	p, err := s.plan(t.Context(), everything(s))
	require.NoError(t, err)
	report, err := s.gradient(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, report.Padded, report.Recomputed)
}

func TestAResumedRunKeepsTheGraphBudgetOfItsStart(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Memory.GraphBudget, opts.Checkpoints.Dir = 0, t.TempDir()
	var used int64
	opts.Events.Step = func(s retort.Step) { used = s.GraphBudget }
	_, err := Train(background, newStudent(t), corpus, lists, opts)
	require.NoError(t, err)
	require.Positive(t, used)
	require.LessOrEqual(t, used, int64(largestGraphBudget))

	// As if the machine had had less free memory.
	f, err := checkpoint.Open(filepath.Join(opts.Checkpoints.Dir, checkpoint.Name))
	require.NoError(t, err)
	var state trainState
	require.NoError(t, f.State(&state))
	state.GraphBudget = 12345
	folder, err := checkpoint.OpenFolder(opts.Checkpoints.Dir)
	require.NoError(t, err)
	require.NoError(t, folder.Write(state, state.BestStep(), newStudent(t).SaveState))
	require.NoError(t, f.Close())
	tr, err := newTrainer(background, newStudent(t), corpus, lists, opts)
	require.NoError(t, err)
	require.EqualValues(t, 12345, tr.stepper.graphBudget)
	require.NoError(t, tr.close())
}

func TestMemAvailableIsRead(t *testing.T) {
	for _, test := range []struct {
		info string
		want int64
		ok   bool
	}{
		{"MemTotal:       24550 kB\nMemFree:  1 kB\nMemAvailable:   18000 kB\n", 18000 << 10, true},
		{"MemTotal:       24550 kB\n", 0, false},
		{"MemAvailable:   many kB\n", 0, false},
		{"MemAvailable:   5 MB\n", 0, false},
		{"", 0, false},
	} {
		got, ok := available([]byte(test.info))
		require.Equal(t, test.want, got, test.info)
		require.Equal(t, test.ok, ok, test.info)
	}
}

// The plan of a step is the same whether it was made ahead or when it was asked for.
func TestPlansMadeAheadAreThoseMadeAtOnce(t *testing.T) {
	corpus, lists := world(t)
	tr, err := newTrainer(t.Context(), newStudent(t), corpus, lists, quick())
	require.NoError(t, err)
	defer tr.close()
	var ahead []*plan
	for step := range tr.planner.steps {
		p, err := tr.planner.next(t.Context(), step)
		require.NoError(t, err)
		ahead = append(ahead, p)
	}
	for step, want := range ahead {
		got, err := tr.planner.make(t.Context(), step)
		require.NoError(t, err)
		require.Equal(t, want.rows, got.rows)
		require.Equal(t, want.queries.batches, got.queries.batches)
		require.Equal(t, want.passages.batches, got.passages.batches)
	}
	// Out of turn: the one ahead is dropped.
	got, err := tr.planner.next(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, ahead[2].rows, got.rows)
	got, err = tr.planner.next(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, ahead[7].rows, got.rows)
}

func TestTheNextPlanIsMadeWhileTheStepIsComputed(t *testing.T) {
	made := make(chan int, 10)
	p := &planner{steps: 3, make: func(_ context.Context, step int) (*plan, error) {
		made <- step
		return &plan{columns: step}, nil
	}}
	for step, want := range [][]int{{0, 1}, {2}, {}} {
		got, err := p.next(t.Context(), step)
		require.NoError(t, err)
		require.Equal(t, step, got.columns)
		for _, n := range want { // while the step would be computed
			select {
			case got := <-made:
				require.Equal(t, n, got)
			case <-time.After(10 * time.Second):
				t.Fatalf("the plan of step %d is not made while step %d is computed", n, step)
			}
		}
	}
	require.Empty(t, made, "each plan is made once, and none beyond the last step")
	p.stop()
	p.stop()
}

func TestAPlannerStopsWithItsContextAndLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	ended := make(chan struct{})
	p := &planner{steps: 9, make: func(ctx context.Context, step int) (*plan, error) {
		if step == 0 {
			return &plan{}, nil
		}
		<-ctx.Done() // a corpus that takes for ever to tokenise
		close(ended)
		return nil, ctx.Err()
	}}
	_, err := p.next(t.Context(), 0)
	require.NoError(t, err)
	p.stop()
	select {
	case <-ended:
	default:
		t.Fatal("stop did not wait")
	}
	goroutines.RequireNoMore(t, before, 10*time.Second)

	broken := errors.New("no such text")
	p = &planner{steps: 9, make: func(_ context.Context, step int) (*plan, error) {
		if step == 1 {
			return nil, broken
		}
		return &plan{}, nil
	}}
	_, err = p.next(t.Context(), 0)
	require.NoError(t, err)
	_, err = p.next(t.Context(), 1)
	require.ErrorIs(t, err, broken)
	p.stop()
}

func TestTrainLeavesNoGoroutineHoweverItEnds(t *testing.T) {
	corpus, lists := world(t)
	before := runtime.NumGoroutine()
	for n := 1; n < 60; n += 7 {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		e := &student{Encoder: newStudent(t), onForward: func(bool) error {
			if calls++; calls == n {
				if n%2 == 0 {
					cancel()
					return nil
				}
				return errKilled
			}
			return nil
		}}
		_, err := Train(ctx, e, corpus, lists, quick())
		require.Error(t, err)
		cancel()
	}
	goroutines.RequireNoMore(t, before, 10*time.Second)
}

func TestTokenisingEndsWithItsContext(t *testing.T) {
	corpus, lists := world(t)
	s := stepperFor(t, newStudent(t), corpus, lists, quick())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.plan(ctx, everything(s))
	require.ErrorIs(t, err, context.Canceled)
}
