package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/training"
	"github.com/retort-ir/retort/loss"
)

var background = context.Background()

func TestTrainingOnTheListsBringsTheStudentNearerToTheTeacher(t *testing.T) {
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		e, opts := newStudent(t), quick()
		opts.Towers, opts.Selection.Dev, opts.Schedule.Epochs, opts.Schedule.LR = towers, lists, 40, 0.1 // the same lists: can it learn at all?
		result, err := Train(background, e, corpus, lists, opts)
		require.NoError(t, err)
		require.Less(t, result.History[0].Score, 0.3, towers)
		require.Greater(t, result.Best.Score, 0.65, towers)
		require.Less(t, result.History[len(result.History)-1].TrainLoss, result.History[1].TrainLoss)
		require.Equal(t, result.Best.Score, result.AlphaScore)
		require.Equal(t, 40*5, result.TotalSteps)
		require.Equal(t, result.TotalSteps, result.Steps)
		require.Equal(t, 24, result.TrainLists)
	}
}

func TestTheBestStudentIsTheOneThatIsLeft(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	var seen []Weights
	scores := []float64{0.1, 0.5, 0.3, 0.5, 0.2, 0.4, 0.1, 0.1}
	opts.Selection.Evaluate = func(_ context.Context, student encoder.Encoder) (float64, error) {
		seen = append(seen, weightsOf(t, student))
		return scores[len(seen)-1], nil
	}
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Len(t, result.History, len(scores), "one before, one every 3 of 20 steps, one at the end")
	require.Equal(t, 3, result.Best.Step, "the first of equals")
	require.Equal(t, seen[1], weightsOf(t, e))
	require.NotEqual(t, seen[7], weightsOf(t, e))
	require.Equal(t, 24, result.TrainLists)
	require.Zero(t, result.DevLists)
}

func TestTheUntouchedStudentCanWin(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	before := weightsOf(t, e)
	opts.Selection.Evaluate = func(_ context.Context, student encoder.Encoder) (float64, error) {
		if fmt.Sprint(before) == fmt.Sprint(weightsOf(t, student)) {
			return 1, nil
		}
		return 0.5, nil
	}
	opts.Selection.Interpolate = []float64{0.5}
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Zero(t, result.Best.Step)
	require.Equal(t, before, weightsOf(t, e))
}

func TestPatienceEndsTraining(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	scores := []float64{0.1, 0.5, 0.3, 0.6, 0.2, 0.6, 0.9, 0.9}
	n := 0
	opts.Selection.Evaluate = func(context.Context, encoder.Encoder) (float64, error) { n++; return scores[n-1], nil }
	opts.Selection.Patience = 2
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Equal(t, 15, result.Steps)
	require.Equal(t, 9, result.Best.Step)
	require.Len(t, result.History, 6)
	require.Equal(t, 20, result.TotalSteps)
}

func TestWithoutAnEvaluationTheLastStudentIsLeft(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	opts.Selection.DevFraction = 0
	var last []byte
	opts.Events.Step = func(retort.Step) { last = stateOf(t, e) }
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Equal(t, last, stateOf(t, e))
	require.Empty(t, result.History)
	require.Equal(t, 20, result.Best.Step)
}

func TestTheSameInputGivesTheSameBits(t *testing.T) {
	corpus, lists := world(t)
	train := func(seed uint64) []byte {
		e, opts := newStudent(t), quick()
		opts.Selection.DevFraction, opts.Schedule.Seed = 0, seed
		_, err := Train(background, e, corpus, lists, opts)
		require.NoError(t, err)
		return stateOf(t, e)
	}
	require.Equal(t, train(1), train(1))
	require.NotEqual(t, train(1), train(2))
}

func TestQueryOnlyLeavesPassageVectorsBitForBit(t *testing.T) {
	corpus, lists := world(t)
	var texts []string
	for i := range corpus.Len() {
		p, err := corpus.At(i)
		require.NoError(t, err)
		texts = append(texts, p.Content())
	}
	e, opts := newStudent(t), quick()
	passages, err := e.Encode(background, encoder.Passage, texts)
	require.NoError(t, err)
	queries, err := e.Encode(background, encoder.Query, texts)
	require.NoError(t, err)
	opts.Towers, opts.Selection.DevFraction = QueryOnly, 0
	_, err = Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	after, err := e.Encode(background, encoder.Passage, texts)
	require.NoError(t, err)
	require.Equal(t, passages, after)
	after, err = e.Encode(background, encoder.Query, texts)
	require.NoError(t, err)
	require.NotEqual(t, queries, after)

	lists = lists[9:] // so that a passage's number is not its index in the corpus
	for _, wholeCorpus := range []bool{false, true} {
		opts.WholeCorpus = wholeCorpus
		opts.Vectors = blas32.General{}
		encoded, given := newStudent(t), newStudent(t)
		_, err = Train(background, encoded, corpus, lists, opts)
		require.NoError(t, err)
		opts.Vectors = passages
		_, err = Train(background, given, corpus, lists, opts)
		require.NoError(t, err)
		require.Equal(t, stateOf(t, encoded), stateOf(t, given), "vectors that somebody has computed already")
	}
}

func TestQueryOnlyNeedsASplitter(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Towers = QueryOnly
	_, err := Train(background, struct{ encoder.Trainable }{newStudent(t)}, corpus, lists, opts)
	require.ErrorContains(t, err, "encoder.Splitter")
}

func TestInterpolateNeedsParameters(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Selection.Interpolate = []float64{0.5}
	_, err := Train(background, struct{ encoder.Trainable }{newStudent(t)}, corpus, lists, opts)
	require.ErrorContains(t, err, "encoder.Parametric")
}

func TestVectorsOfAnotherShapeAreRefused(t *testing.T) {
	corpus, lists := world(t)
	for _, v := range []blas32.General{
		matrix.New(corpus.Len(), 9), matrix.New(3, 8),
		{Rows: corpus.Len(), Cols: 8, Stride: 8, Data: make([]float32, 9)},
	} {
		opts := quick()
		opts.Towers, opts.Vectors = QueryOnly, v
		_, err := Train(background, newStudent(t), corpus, lists, opts)
		require.ErrorContains(t, err, "Options.Vectors")
	}
}

func TestInterpolationThatScoresBestWins(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	start := weightsOf(t, e)
	var trained Weights
	n := 0
	scores := []float64{0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1 /* alphas: */, 0.25, 0.4, 0.35}
	opts.Selection.Evaluate = func(_ context.Context, student encoder.Encoder) (float64, error) {
		if n == 2 {
			trained = weightsOf(t, student)
		}
		n++
		return scores[n-1], nil
	}
	opts.Selection.Interpolate = []float64{0.25, 0.5, 0.75}
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Equal(t, 0.5, result.Alpha)
	require.Equal(t, 0.4, result.AlphaScore)
	require.Equal(t, 0.3, result.Best.Score)
	got := weightsOf(t, e)
	for i := range got {
		for j := range got[i] {
			require.InDelta(t, (float64(start[i][j])+float64(trained[i][j]))/2, float64(got[i][j]), 1e-6)
		}
	}
}

func TestInterpolationThatFailsLeavesTheBestStudent(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	var last Weights
	n := 0
	opts.Selection.Evaluate = func(_ context.Context, student encoder.Encoder) (float64, error) {
		n++
		switch {
		case n == 10:
			return 0, errors.New("out of order")
		case n <= 8:
			last = weightsOf(t, student)
		}
		return float64(n), nil
	}
	opts.Selection.Interpolate = []float64{0.25, 0.5}
	_, err := Train(background, e, corpus, lists, opts)
	require.ErrorContains(t, err, "out of order")
	require.Equal(t, last, weightsOf(t, e))
}

// errKilled ends a run as a kill would: Train has no occasion to save anything.
var errKilled = errors.New("killed")

// A run ends at random moments, within steps and evaluations, until it comes through: the same bits as undisturbed.
func TestARunThatWasEndedGoesOnToTheSameBits(t *testing.T) {
	corpus, lists := world(t)
	for _, test := range []struct {
		name   string
		within int // forward passes to an end
		cancel bool
		change func(*Options)
	}{
		{"killed, both towers", 60, false, func(*Options) {}},
		{"killed, query side", 20, false, func(o *Options) { o.Towers = QueryOnly }},
		{"killed, checkpoints at evaluations only", 150, false, func(o *Options) { o.Checkpoints.Every = time.Hour }},
		{"killed, nested widths", 60, false, func(o *Options) { o.Widths = []int{8, 4} }},
		{"killed, kept graphs", 30, false, func(o *Options) { o.Memory.GraphBudget = 1 << 30 }},
		{"killed, early stop and interpolation", 25, false, func(o *Options) {
			o.Selection.Patience, o.Schedule.LR, o.Selection.Interpolate = 1, 0.3, []float64{0.25, 0.5}
		}},
		{"cancelled, both towers", 60, true, func(o *Options) { o.Checkpoints.Every = time.Hour }},
		{"cancelled, query side", 20, true, func(o *Options) { o.Towers, o.Checkpoints.Every = QueryOnly, time.Hour }},
		{
			"cancelled, no evaluations", 60, true,
			func(o *Options) { o.Selection.DevFraction, o.Checkpoints.Every = 0, time.Hour },
		},
		{"cancelled, early stop and interpolation", 25, true, func(o *Options) {
			o.Selection.Patience, o.Schedule.LR, o.Selection.Interpolate, o.Checkpoints.Every = 1, 0.3, []float64{
				0.25,
				0.5,
			}, time.Hour
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := quick()
			opts.Checkpoints.Every = 0
			test.change(&opts)
			undisturbed := newStudent(t)
			want, err := Train(background, undisturbed, corpus, lists, opts)
			require.NoError(t, err)

			r := rand.New(rand.NewPCG(4, 4))
			opts.Checkpoints.Dir = t.TempDir()
			ends, steps := 0, 0
			for {
				ctx, cancel := context.WithCancel(background)
				calls := 1 + r.IntN(test.within)
				e := &student{
					Encoder: newStudent(t),
					onForward: func(bool) error {
						if calls--; calls != 0 {
							return nil
						}
						if !test.cancel {
							return errKilled
						}
						cancel()
						return nil
					},
					onStep: func() error { steps++; return nil },
				}
				got, err := Train(ctx, e, corpus, lists, opts)
				cancel()
				if err != nil {
					require.True(t, errors.Is(err, context.Canceled) == test.cancel && errors.Is(err, errKilled) != test.cancel, err)
					ends++
					require.Less(t, ends, 1000)
					continue
				}
				if test.cancel {
					require.Equal(t, want.Steps, steps, "each step is made once")
				}
				require.Equal(t, want, got)
				require.Equal(t, stateOf(t, undisturbed), stateOf(t, e))
				break
			}
			require.Greater(t, ends, 1)

			again := newStudent(t)
			got, err := Train(background, again, corpus, lists, opts)
			require.NoError(t, err)
			require.Equal(t, want, got, "a finished run is not run again")
			require.Equal(t, stateOf(t, undisturbed), stateOf(t, again))
		})
	}
}

func TestACancelledRunLeavesACheckpointOfItsLastStep(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Checkpoints.Every, opts.Selection.EvalSteps, opts.Checkpoints.Dir = time.Hour, 1000, t.TempDir()
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	opts.Events.Step = func(s retort.Step) {
		if s.Step == 7 {
			cancel()
		}
	}
	e := newStudent(t)
	_, err := Train(ctx, e, corpus, lists, opts)
	require.ErrorIs(t, err, context.Canceled)
	last, err := training.LastState(opts.Checkpoints.Dir)
	require.NoError(t, err)
	require.Equal(t, 7, last.Step)
	f, err := checkpoint.Open(filepath.Join(opts.Checkpoints.Dir, checkpoint.Name))
	require.NoError(t, err)
	saved := newStudent(t)
	require.NoError(t, loadState(f, saved))
	require.NoError(t, f.Close())
	require.Equal(t, stateOf(t, e), stateOf(t, saved))
}

func TestACheckpointOfAnotherRunIsRefusedByName(t *testing.T) {
	corpus, lists := world(t)
	dir := t.TempDir()
	opts := quick()
	opts.Checkpoints.Dir = dir
	_, err := Train(background, newStudent(t), corpus, lists, opts)
	require.NoError(t, err)
	for _, test := range []struct {
		want   string
		change func(o *Options)
	}{
		{"LR is 0.02 in the checkpoint and 0.5 in this run", func(o *Options) { o.Schedule.LR = 0.5 }},
		{"Towers is both in the checkpoint and query in this run", func(o *Options) { o.Towers = QueryOnly }},
		{"Seed is 0 in the checkpoint and 3 in this run", func(o *Options) { o.Schedule.Seed = 3 }},
		{"Epochs is 4 in the checkpoint and 5 in this run", func(o *Options) { o.Schedule.Epochs = 5 }},
		{"Widths is unset in the checkpoint and [8 4] in this run", func(o *Options) { o.Widths = []int{8, 4} }},
		{"Loss is", func(o *Options) { o.Loss = loss.ListwiseKL{} }},
		{"Loss is", func(o *Options) { o.Loss = loss.ListwiseKL{StudentTemperature: 0.1} }},
		{"other held-out lists", func(o *Options) { o.Selection.DevFraction = 0.5 }},
	} {
		other := opts
		test.change(&other)
		_, err := Train(background, newStudent(t), corpus, lists, other)
		require.ErrorContains(t, err, test.want)
		require.ErrorContains(t, err, dir)
	}
	_, err = Train(background, newStudent(t), corpus, lists[1:], opts)
	require.ErrorContains(t, err, "lists")
	e, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 256, Seed: 6})
	require.NoError(t, err)
	_, err = Train(background, e, corpus, lists, opts)
	require.ErrorContains(t, err, "another student")

	// Settings that this run leaves out are differences too.
	opts.Checkpoints.Dir, opts.Widths, opts.Selection.ByLoss = t.TempDir(), []int{8, 4}, true
	_, err = Train(background, newStudent(t), corpus, lists, opts)
	require.NoError(t, err)
	plain := opts
	plain.Widths = nil
	_, err = Train(background, newStudent(t), corpus, lists, plain)
	require.ErrorContains(t, err, "Widths is [8 4] in the checkpoint and unset in this run")
	plain = opts
	plain.Selection.ByLoss = false
	_, err = Train(background, newStudent(t), corpus, lists, plain)
	require.ErrorContains(t, err, "ChooseBy is loss in the checkpoint and unset in this run")
}

func TestWithoutAFolderNothingIsLeftBehind(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	corpus, lists := world(t)
	_, err := Train(background, newStudent(t), corpus, lists, quick())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(background)
	opts := quick()
	opts.Events.Step = func(retort.Step) { cancel() }
	_, err = Train(ctx, newStudent(t), corpus, lists, opts)
	require.ErrorIs(t, err, context.Canceled)
	entries, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// The context ends at every forward pass in turn: the student is as after one of the finished steps, without gradients,
// whether it can drop them itself or not.
func TestACancelledStudentIsAsAfterItsLastStep(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Schedule.Epochs, opts.Selection.DevFraction = 1, 0
	var states [][]byte
	e := newStudent(t)
	states = append(states, stateOf(t, e))
	opts.Events.Step = func(retort.Step) { states = append(states, stateOf(t, e)) }
	_, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	opts.Events = retort.Events{}
	for name, seen := range map[string]func(*student) encoder.Trainable{
		"GradientZeroer": func(e *student) encoder.Trainable { return e },
		"Trainable only": func(e *student) encoder.Trainable { return struct{ encoder.Trainable }{e} },
	} {
		t.Run(name, func(t *testing.T) {
			at := 1
			for ; ; at++ {
				ctx, cancel := context.WithCancel(background)
				calls, steps := 0, 0
				e := &student{
					Encoder: newStudent(t),
					onForward: func(bool) error {
						if calls++; calls == at {
							cancel()
						}
						return nil
					},
					onStep: func() error { steps++; return nil },
				}
				_, err := Train(ctx, seen(e), corpus, lists, opts)
				cancel()
				if err == nil {
					break
				}
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, states[steps], stateOf(t, e), "forward pass %d", at)
				require.Zero(t, gradNorm(t, e), "forward pass %d", at)
			}
			require.Greater(t, at, 20)
		})
	}
}

func TestAnEndedContextTrainsNothing(t *testing.T) {
	corpus, lists := world(t)
	ctx, cancel := context.WithCancel(background)
	cancel()
	for _, towers := range []Towers{Both, QueryOnly} {
		e, opts := newStudent(t), quick()
		opts.Towers = towers
		before := weightsOf(t, e)
		_, err := Train(ctx, e, corpus, lists, opts)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, before, weightsOf(t, e))
	}
}

func TestAGradientThatIsNotFiniteNamesTheStepAndItsQueries(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	opts.Selection.DevFraction, opts.Selection.EvalSteps = 0, 0
	opts.Loss = explodes{DefaultLoss(), "q3.1"}
	var before Weights
	steps := 0
	opts.Events.Step = func(s retort.Step) { before, steps = weightsOf(t, e), s.Step }
	_, err := Train(background, e, corpus, lists, opts)
	require.ErrorIs(t, err, encoder.ErrNonFinite)
	require.ErrorContains(t, err, fmt.Sprintf("step %d of", steps+1))
	require.ErrorContains(t, err, `"q3.1"`)
	if steps > 0 {
		require.Equal(t, before, weightsOf(t, e))
	}
	require.Zero(t, gradNorm(t, e))
}

type explodes struct {
	loss.Loss
	ID string
}

func (l explodes) Row(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
	if r.ID == l.ID {
		grad[r.List[0]] = float32(math.Inf(1))
	}
	return l.Loss.Row(r, sim, grad, scale)
}

func TestARowThatFailsNamesItsQuery(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	opts.Loss = loss.InfoNCE{Temperature: 0.1, MaskRatio: 0.5}
	opts.Selection.DevFraction = 0
	lists[7].Scores[2] = 1.5 // outside the range that a mask is defined on
	_, err := Train(background, e, corpus, lists, opts)
	require.ErrorContains(t, err, `"q2.1"`)
}

func TestFailuresOfTheStudentAreReturned(t *testing.T) {
	corpus, lists := world(t)
	broken := errors.New("the device fell off")
	calls := 0
	e := &student{Encoder: newStudent(t), onForward: func(keep bool) error {
		if calls++; keep && calls > 30 {
			return broken
		}
		return nil
	}}
	_, err := Train(background, e, corpus, lists, quick())
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "step ")
}

func TestEventsTellEveryStageStepEvaluationAndCheckpoint(t *testing.T) {
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		opts := quick()
		opts.Towers, opts.Checkpoints = towers, Checkpoints{Dir: t.TempDir(), Every: time.Hour}
		var order []string
		var steps []retort.Step
		var evaluations []retort.Evaluation
		opts.Events = retort.Events{
			Stage: func(s retort.Stage) {
				require.LessOrEqual(t, s.Done, s.Total)
				order = append(order, fmt.Sprintf("%s %d of %d", s.Name, s.Done, s.Total))
			},
			Step: func(s retort.Step) { steps, order = append(steps, s), append(order, "step") },
			Evaluation: func(e retort.Evaluation) {
				require.Positive(t, e.Took)
				e.Took = 0
				evaluations, order = append(evaluations, e), append(order, "evaluation")
			},
			Checkpoint: func(c retort.Checkpoint) {
				require.Equal(t, opts.Checkpoints.Dir, c.Dir)
				require.Equal(t, c.Saved, c.Took > 0)
				order = append(order, fmt.Sprintf("checkpoint %d %v", c.Step, c.Saved))
			},
		}
		result, err := Train(background, newStudent(t), corpus, lists, opts)
		require.NoError(t, err)
		require.Equal(t, result.History, evaluations)
		require.Len(t, steps, result.Steps)
		encode := []string{"encode 32 of 32"}
		if towers == Both {
			encode = nil
		}
		require.Equal(t, slices.Concat([]string{"setup 0 of 1"}, encode, []string{
			"setup 1 of 1", "train 0 of 16", "evaluation", "checkpoint 0 false", "checkpoint 0 true", "step", "step", "step", "evaluation",
		}), order[:10+len(encode)])
		require.Equal(t, []string{"evaluation", "checkpoint 16 false", "checkpoint 16 true", "train 16 of 16"},
			order[len(order)-4:])
		for i, s := range steps {
			require.Equal(t, i+1, s.Step)
			require.Equal(t, result.TotalSteps, s.Steps)
			require.Positive(t, s.Loss)
			require.Positive(t, s.LR)
			require.Positive(t, s.GradNorm)
			require.Positive(t, s.Queries)
			require.Positive(t, s.Tokens)
			require.Greater(t, s.Passages, s.Queries)
			require.Equal(t, []string{"ListwiseKL", "InfoNCE"}, []string{s.Parts[0].Name, s.Parts[1].Name})
			require.InDelta(t, s.Loss, s.Parts[0].Value+s.Parts[1].Value, 1e-12)
			require.GreaterOrEqual(t, s.Took, s.Prepare+s.Encode+s.Similarity+s.Recompute+s.Backward+s.Update+s.Exchange)
		}
	}
}

func TestOptionsValidateNamesTheWrongField(t *testing.T) {
	require.NoError(t, DefaultOptions().Validate())
	for _, test := range []struct {
		field  string
		change func(*Options)
	}{
		{"Towers", func(o *Options) { o.Towers = 7 }},
		{"Schedule.Epochs", func(o *Options) { o.Schedule.Epochs = 0 }},
		{"Schedule.QueriesPerStep", func(o *Options) { o.Schedule.QueriesPerStep = -1 }},
		{"Schedule.LR", func(o *Options) { o.Schedule.LR = math.NaN() }},
		{"Schedule.LR", func(o *Options) { o.Schedule.LR = 0 }},
		{"Schedule.Warmup", func(o *Options) { o.Schedule.Warmup = 1.1 }},
		{"Schedule.MinLR", func(o *Options) { o.Schedule.MinLR = -0.1 }},
		{"Schedule.WeightDecay", func(o *Options) { o.Schedule.WeightDecay = math.Inf(1) }},
		{"Schedule.ClipNorm", func(o *Options) { o.Schedule.ClipNorm = -1 }},
		{"Memory.MicroBatchTokens", func(o *Options) { o.Memory.MicroBatchTokens = 0 }},
		{"Selection.DevFraction", func(o *Options) { o.Selection.DevFraction = 1 }},
		{"Selection.EvalSteps", func(o *Options) { o.Selection.EvalSteps = -1 }},
		{"Selection.Patience", func(o *Options) { o.Selection.Patience = -1 }},
		{"Checkpoints.Every", func(o *Options) { o.Checkpoints.Every = -time.Second }},
		{"Loss", func(o *Options) { o.Loss = loss.InfoNCE{Temperature: -1} }},
		{"WholeCorpus", func(o *Options) { o.WholeCorpus = true }},
		{"CountDuplicates", func(o *Options) { o.Towers, o.WholeCorpus, o.CountDuplicates = QueryOnly, true, true }},
		{"Widths: 0, want at least 1", func(o *Options) { o.Widths = []int{0} }},
		{"Widths: -4, want at least 1", func(o *Options) { o.Widths = []int{8, -4} }},
		{"Widths: 8 follows 4", func(o *Options) { o.Widths = []int{4, 8} }},
		{"Widths: 4 follows 4", func(o *Options) { o.Widths = []int{8, 4, 4} }},
		{"Vectors", func(o *Options) { o.Vectors = matrix.New(1, 1) }},
		{"Selection.Interpolate", func(o *Options) { o.Selection.Interpolate = []float64{1.5} }},
		{"Selection.Interpolate", func(o *Options) { o.Selection.DevFraction, o.Selection.Interpolate = 0, []float64{0.5} }},
	} {
		o := DefaultOptions()
		o.Towers = Both
		test.change(&o)
		require.ErrorContains(t, o.Validate(), "Options."+test.field)
		corpus, lists := world(t)
		_, err := Train(background, newStudent(t), corpus, lists, o)
		require.Error(t, err)
	}
}

func TestNoListsAreAnError(t *testing.T) {
	corpus, _ := world(t)
	opts := quick()
	for _, fraction := range []float64{0, 0.1} {
		opts.Selection.DevFraction = fraction
		_, err := Train(background, newStudent(t), corpus, nil, opts)
		require.Error(t, err)
	}
}

func TestARunOfAMillionEpochsBeginsAtOnceAndEndsWithItsContext(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Schedule.Epochs = 1_000_000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opts.Events.Step = func(retort.Step) { cancel() }
	start := time.Now()
	_, err := Train(ctx, newStudent(t), corpus, lists, opts)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(start), 5*time.Second)
}

// untrainable is a student that says why it cannot learn.
type untrainable struct{ *student }

func (untrainable) CheckTraining() error { return errors.New("vectors of any length") }

func TestAStudentThatCannotLearnIsRefusedBeforeAnythingIsDone(t *testing.T) {
	corpus, lists := world(t)
	e := untrainable{&student{Encoder: newStudent(t), onForward: func(bool) error { return errors.New("computed") }}}
	_, err := Train(background, e, corpus, lists, quick())
	require.EqualError(t, err, "distill: vectors of any length")
}
