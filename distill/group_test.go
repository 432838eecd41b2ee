package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/goroutines"
	"github.com/retort-ir/retort/internal/training"
	"github.com/retort-ir/retort/loss"
)

// asGroup calls f for each worker at the same time, and returns what each returned.
func asGroup(n int, f func(rank int, g Group) error) []error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for r, g := range NewLocalGroups(n) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[r] = f(r, g)
		}()
	}
	wg.Wait()
	return errs
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for r, err := range errs {
		require.NoError(t, err, "worker %d", r)
	}
}

func TestALocalGroupGathersAndAddsUp(t *testing.T) {
	quietNaN, signallingNaN := math.Float32frombits(0x7fc00123), math.Float32frombits(0xff800001)
	for n := 1; n <= 4; n++ {
		noErrors(t, asGroup(n, func(rank int, g Group) error {
			for round := range 50 {
				parts := make([][]float32, n)
				for r := range parts {
					parts[r] = make([]float32, r) // worker 0 has nothing to give
				}
				for i := range parts[rank] {
					parts[rank][i] = []float32{float32(rank), quietNaN, signallingNaN}[i%3]
				}
				if err := g.AllGather(context.Background(), parts); err != nil {
					return err
				}
				for r, part := range parts {
					for i, v := range part {
						want := []float32{float32(r), quietNaN, signallingNaN}[i%3]
						if math.Float32bits(v) != math.Float32bits(want) {
							return fmt.Errorf("round %d: part %d holds %v at %d", round, r, v, i)
						}
					}
				}
				values := []float32{1, float32(rank), float32(round)}
				if err := g.AllReduce(context.Background(), values); err != nil {
					return err
				}
				if want := [3]float32{float32(n), float32(n * (n - 1) / 2), float32(n * round)}; [3]float32(values) != want {
					return fmt.Errorf("round %d: sums %v", round, values)
				}
			}
			return nil
		}))
	}
}

func TestALocalGroupNeverHangs(t *testing.T) {
	before := runtime.NumGoroutine()
	const n = 3
	values := func() []float32 { return make([]float32, 4) }
	for name, last := range map[string]func(g Group) error{ // what worker 2 does while the others wait
		"one that leaves": func(g Group) error { return g.(Aborter).Abort() },
		"one whose context ends": func(g Group) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return g.AllReduce(ctx, values())
		},
		"another call":   func(g Group) error { return g.AllGather(context.Background(), make([][]float32, n)) },
		"another length": func(g Group) error { return g.AllReduce(context.Background(), make([]float32, 5)) },
	} {
		t.Run(name, func(t *testing.T) {
			errs := asGroup(n, func(rank int, g Group) error {
				if rank == 2 {
					time.Sleep(10 * time.Millisecond)
					return last(g)
				}
				return g.AllReduce(context.Background(), values())
			})
			require.ErrorContains(t, errs[0], "worker 2")
			require.ErrorContains(t, errs[1], "worker 2")
			require.NotErrorIs(t, errs[0], context.Canceled, "it is not the context of worker 0 that ended")
		})
	}
	errs := asGroup(n, func(rank int, g Group) error {
		if rank == 2 {
			return nil // never comes
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		return g.AllReduce(ctx, values())
	})
	require.ErrorIs(t, errors.Join(errs...), context.DeadlineExceeded)
	goroutines.RequireNoMore(t, before, time.Second)
}

// trainTogether trains a student a worker, and checks that all end alike.
func trainTogether(t *testing.T, n int, corpus retort.Corpus, lists []retort.List,
	opts func(rank int) Options,
) (*Result, Weights) {
	t.Helper()
	students, results := make([]*student, n), make([]*Result, n)
	for r := range students {
		students[r] = &student{Encoder: newStudent(t)}
	}
	noErrors(t, asGroup(n, func(rank int, g Group) (err error) {
		o := opts(rank)
		o.Group = g
		results[rank], err = Train(context.Background(), students[rank], corpus, lists, o)
		return err
	}))
	for r := range students {
		require.Equal(t, results[0], results[r], "worker %d", r)
		require.Equal(t, weightsOf(t, students[0]), weightsOf(t, students[r]), "worker %d", r)
	}
	return results[0], weightsOf(t, students[0])
}

// A group's result is that of one worker: its evaluations, and its weights to 1e-5.
func TestAGroupTrainsLikeOneWorker(t *testing.T) {
	masking := loss.Sum{
		{Weight: 1, Loss: loss.ListwiseKL{}},
		{Weight: 0.5, Loss: loss.InfoNCE{Temperature: 0.1, MaskRatio: 0.6}},
	}
	for _, test := range []struct {
		name   string
		change func(*Options)
	}{
		{"both towers", func(*Options) {}},
		{"query side", func(o *Options) { o.Towers = QueryOnly }},
		{"whole corpus", func(o *Options) { o.Towers, o.WholeCorpus = QueryOnly, true }},
		{"counts and masks", func(o *Options) { o.CountDuplicates, o.Loss = true, masking }},
		{"counts and masks, query side", func(o *Options) { o.Towers, o.CountDuplicates, o.Loss = QueryOnly, true, masking }},
		{"nested widths", func(o *Options) { o.Widths = []int{8, 5, 3} }},
		{"nested widths, query side", func(o *Options) { o.Towers, o.Widths = QueryOnly, []int{8, 5, 3} }},
		{"loss of whole steps", func(o *Options) { o.Loss = wholeStep{DefaultLoss()} }},
		{"no graph kept", func(o *Options) { o.Memory.GraphBudget = -1 }},
		{"some graphs kept", func(o *Options) { o.Memory.GraphBudget = 700 }},
		{"all graphs kept", func(o *Options) { o.Memory.GraphBudget = math.MaxInt64 }},
		{"a step for one micro-batch", func(o *Options) { o.Memory.MicroBatchTokens = 1 << 20 }},
		{"a text a micro-batch", func(o *Options) { o.Memory.MicroBatchTokens = 1 }},
		{"fewer queries than workers", func(o *Options) { o.Schedule.QueriesPerStep = 1; o.Schedule.Epochs = 1 }},
		{"no evaluation", func(o *Options) { o.Selection.DevFraction, o.Selection.EvalSteps = 0, 0 }},
		{"chosen by loss", func(o *Options) { o.Selection.ByLoss = true }},
		{"a checkpoint a step", func(o *Options) { o.Checkpoints.Every = 0 }},
		{"patience", func(o *Options) { o.Selection.Patience, o.Schedule.LR = 1, 0.5 }},
		{"interpolation", func(o *Options) { o.Selection.Interpolate = []float64{0.3, 0.7} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			corpus, lists := world(t)
			opts := quick()
			test.change(&opts)
			alone := newStudent(t)
			want, err := Train(context.Background(), alone, corpus, lists, opts)
			require.NoError(t, err)
			for _, n := range []int{1, 2, 3} {
				got, weights := trainTogether(t, n, corpus, lists, func(int) Options { return opts })
				one := weightsOf(t, alone)
				require.Less(t, weights.minus(one).norm()/one.norm(), 1e-5, "%d workers", n)
				requireSameResult(t, want, got, 1e-5)
			}
		})
	}
}

func requireSameResult(t *testing.T, want, got *Result, within float64) {
	t.Helper()
	require.Len(t, got.History, len(want.History))
	for i, w := range want.History {
		require.Equal(t, w.Step, got.History[i].Step)
		require.InDelta(t, w.Score, got.History[i].Score, within)
		require.InDelta(t, w.TrainLoss, got.History[i].TrainLoss, within*max(1, w.TrainLoss))
	}
	require.Equal(t, want.Best.Step, got.Best.Step)
	require.Equal(t, want.Alpha, got.Alpha)
	require.Equal(t, []any{want.Steps, want.TotalSteps, want.Stopped}, []any{got.Steps, got.TotalSteps, got.Stopped})
	require.Equal(t, []int{want.TrainLists, want.DevLists}, []int{got.TrainLists, got.DevLists})
}

// The gradient that a group adds up passes the same check as one worker's.
func TestTheGradientOfAGroupIsThatOfOneBatch(t *testing.T) {
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		checks := make([]*GradientCheck, 3)
		noErrors(t, asGroup(3, func(rank int, g Group) (err error) {
			opts := quick()
			opts.Towers, opts.CountDuplicates, opts.Group = towers, true, g
			checks[rank], err = CheckGradient(context.Background(), newStudent(t), corpus, lists[:9], opts)
			return err
		}))
		require.Less(t, checks[0].Parameter, 1e-5, checks[0].Worst)
		require.Less(t, checks[0].Central, 0.02)
		require.Equal(t, checks[0], checks[1])
		require.Equal(t, checks[0], checks[2])
	}
}

func TestAStepIsSharedOutByTokens(t *testing.T) {
	corpus, lists := world(t)
	const n = 3
	encoded, tokens := make([]int, n), make([]int, n)
	noErrors(t, asGroup(n, func(rank int, g Group) error {
		opts := quick()
		opts.Group = g
		s := stepperFor(t, newStudent(t), corpus, lists, opts)
		p, err := s.plan(context.Background(), everything(s))
		if err != nil {
			return err
		}
		for _, side := range []*side{p.queries, p.passages} {
			for _, batch := range side.batches {
				encoded[rank] += len(batch)
				for _, r := range batch {
					tokens[rank] += side.inputs.Tokens(r)
				}
			}
		}
		return p.close()
	}))
	require.Equal(t, len(lists)+len(topics)*4, encoded[0]+encoded[1]+encoded[2], "each text once, on one worker")
	mean := float64(tokens[0]+tokens[1]+tokens[2]) / n
	for r := range tokens {
		require.InEpsilon(t, mean, tokens[r], 0.05, "tokens of worker %d: %v", r, tokens)
	}
}

func TestOnlyRankZeroEvaluatesAndWrites(t *testing.T) {
	corpus, lists := world(t)
	dir := t.TempDir()
	var calls [2]int
	events := 0
	evaluate := func(rank int) func(context.Context, encoder.Encoder) (float64, error) {
		return func(context.Context, encoder.Encoder) (float64, error) {
			calls[rank]++
			return float64(calls[rank]), nil
		}
	}
	result, _ := trainTogether(t, 2, corpus, lists, func(rank int) Options {
		opts := quick()
		opts.Selection.Evaluate = evaluate(rank)
		opts.Retention = Retention{Evaluate: evaluate(rank), MaxDrop: 1000}
		opts.Checkpoints.Dir = filepath.Join(dir, fmt.Sprint(rank), "checkpoints")
		opts.Events = eachEvent(func() {
			if rank == 1 {
				panic("worker 1 reports an event")
			}
			events++
		})
		return opts
	})
	require.NotEmpty(t, result.History)
	require.Equal(t, [2]int{2 * len(result.History), 0}, calls)
	require.DirExists(t, filepath.Join(dir, "0", "checkpoints"))
	require.Greater(t, events, result.Steps)
	require.NoDirExists(t, filepath.Join(dir, "1"))
}

// A floor that draws the student back changes it on all workers.
func TestAStudentIsDrawnBackOnAllWorkers(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Retention = Retention{MaxDrop: 0.01, DrawBack: []float64{0.25, 0.5}, Evaluate: drift(weightsOf(t, newStudent(t)))}
	alone := newStudent(t)
	want, err := Train(context.Background(), alone, corpus, lists, opts)
	require.NoError(t, err)
	var drawnBack int
	for _, e := range want.History {
		if e.DrawnBack > 0 {
			drawnBack++
		}
	}
	require.Positive(t, drawnBack)
	got, weights := trainTogether(t, 2, corpus, lists, func(int) Options { return opts })
	requireSameResult(t, want, got, 1e-5)
	one := weightsOf(t, alone)
	require.Less(t, weights.minus(one).norm()/one.norm(), 1e-5)
}

// drift is 0 at the start, and falls the farther the weights move from it.
func drift(start Weights) func(context.Context, encoder.Encoder) (float64, error) {
	return func(_ context.Context, e encoder.Encoder) (float64, error) {
		now, err := ReadWeights(e)
		if err != nil {
			return 0, err
		}
		return -now.minus(start).norm() / start.norm(), nil
	}
}

func TestAnotherRunOnAWorkerIsRefusedAtTheStart(t *testing.T) {
	corpus, lists := world(t)
	other, err := retort.NewCorpus([]retort.Passage{{ID: "other", Text: "another corpus"}})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		change func(*Options, *[]retort.List, encoder.Parametric)
		want   string
	}{
		"option": {
			func(o *Options, _ *[]retort.List, _ encoder.Parametric) { o.Schedule.LR = 0.5 }, `LR is "0.5", want "0.02"`,
		},
		"widths": {
			func(o *Options, _ *[]retort.List, _ encoder.Parametric) { o.Widths = []int{8, 4} }, `Widths is "[8 4]", want ""`,
		},
		"loss":  {func(o *Options, _ *[]retort.List, _ encoder.Parametric) { o.Loss = loss.ListwiseKL{} }, "Loss is"},
		"lists": {func(_ *Options, l *[]retort.List, _ encoder.Parametric) { *l = (*l)[:20] }, "other held-out lists"},
		"weights": {func(_ *Options, _ *[]retort.List, p encoder.Parametric) {
			w := p.Parameters()[0]
			values, _ := w.Value()
			values[3]++
			_ = w.Set(values)
		}, "other student"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := asGroup(3, func(rank int, g Group) error {
				opts, mine, e := quick(), lists, newStudent(t)
				if rank == 2 {
					test.change(&opts, &mine, e)
				}
				opts.Group = g
				opts.Checkpoints.Dir = t.TempDir()
				_, err := Train(context.Background(), e, corpus, mine, opts)
				return err
			})
			for r, err := range errs {
				require.ErrorContains(t, err, "the run of worker 2 differs from the run of worker 0: "+test.want, "worker %d", r)
			}
		})
	}
	errs := asGroup(2, func(rank int, g Group) error {
		opts, c := quick(), retort.Corpus(corpus)
		opts.Group = g
		if rank == 1 {
			c = other
		}
		_, err := Train(context.Background(), newStudent(t), c, lists, opts)
		return err
	})
	require.ErrorIs(t, errs[0], ErrWorkerLost)
	require.ErrorContains(t, errs[1], "not in the corpus")
}

// A worker that fails, at any step, ends the others with an error and a checkpoint of the last finished step; a later
// run, with another number of workers, ends where an undisturbed one does.
func TestALostWorkerEndsTheOthersWithACheckpoint(t *testing.T) {
	before := runtime.NumGoroutine()
	corpus, lists := world(t)
	opts := quick()
	opts.Checkpoints.Every = time.Hour
	alone := newStudent(t)
	want, err := Train(context.Background(), alone, corpus, lists, opts)
	require.NoError(t, err)
	broken := errors.New("the device is gone")
	for _, failing := range []int{0, 1, 4, 7, 8} {
		dir := t.TempDir()
		errs := asGroup(2, func(rank int, g Group) error {
			o, e := opts, &student{Encoder: newStudent(t)}
			o.Group = g
			if rank == 0 {
				o.Checkpoints.Dir = dir
			} else {
				steps := 0
				e.onStep = func() error { steps++; return nil }
				e.onForward = func(bool) error {
					if steps == failing {
						return broken
					}
					return nil
				}
			}
			_, err := Train(context.Background(), e, corpus, lists, o)
			return err
		})
		require.ErrorIs(t, errs[0], ErrWorkerLost)
		require.ErrorContains(t, errs[0], "worker 1 of 2 has left")
		require.ErrorIs(t, errs[1], broken)
		state, err := training.LastState(dir)
		require.NoError(t, err)
		require.Equal(t, failing, state.Step)

		got, weights := trainTogether(t, 3, corpus, lists, func(int) Options {
			o := opts
			o.Checkpoints.Dir = dir
			return o
		})
		requireSameResult(t, want, got, 1e-5)
		one := weightsOf(t, alone)
		require.Less(t, weights.minus(one).norm()/one.norm(), 1e-5)
	}
	goroutines.RequireNoMore(t, before, time.Second)
}

// Whoever's context ends, everybody's training does, and what was done is saved.
func TestACancelledWorkerEndsTheGroup(t *testing.T) {
	corpus, lists := world(t)
	for cancelled := range 2 {
		dir := t.TempDir()
		errs := asGroup(2, func(rank int, g Group) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			o, e := quick(), &student{Encoder: newStudent(t)}
			o.Group, o.Checkpoints.Every = g, time.Hour
			if rank == 0 {
				o.Checkpoints.Dir = dir
			}
			if rank == cancelled {
				steps := 0
				e.onStep = func() error {
					if steps++; steps == 5 {
						cancel()
					}
					return nil
				}
			}
			_, err := Train(ctx, e, corpus, lists, o)
			return err
		})
		require.ErrorIs(t, errs[cancelled], context.Canceled)
		require.ErrorIs(t, errs[1-cancelled], ErrWorkerLost)
		require.NotErrorIs(t, errs[1-cancelled], context.Canceled)
		state, err := training.LastState(dir)
		require.NoError(t, err)
		require.GreaterOrEqual(t, state.Step, 4)
	}
}

func TestOptionsGroupNeedsAStudentWhoseGradientsCanBeSet(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Group = NewLocalGroups(2)[0]
	_, err := Train(context.Background(), struct{ encoder.Trainable }{newStudent(t)}, corpus, lists, opts)
	require.ErrorContains(t, err, "encoder.Parametric, which Options.Group needs")
}

// Bytes keep their bits on their way through float32 values, in chunks too.
func TestBytesTravelAsFloats(t *testing.T) {
	data := make([]byte, 4*broadcastFloats+1234567)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	noErrors(t, asGroup(2, func(rank int, g Group) error {
		w := &workers{group: g}
		for _, n := range []int{0, 1, 3, 4, 5, 1001, len(data)} {
			got, err := w.broadcast(context.Background(), data[:n])
			if err != nil {
				return err
			}
			if string(got) != string(data[:n]) {
				return fmt.Errorf("%d bytes arrive as %d others", n, len(got))
			}
		}
		return nil
	}))
}

// A folder that only rank 0 can see is enough.
func TestOtherWorkersTouchNoFolder(t *testing.T) {
	corpus, lists := world(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	trainTogether(t, 2, corpus, lists, func(rank int) Options {
		opts := quick()
		opts.Checkpoints.Dir = t.TempDir()
		if rank == 1 {
			opts.Checkpoints.Dir = file
		}
		return opts
	})
}
