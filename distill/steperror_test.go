package distill

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/loss"
)

func TestAStepErrorNamesItsListsAndTheLastGoodCheckpoint(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Checkpoints.Every, opts.Checkpoints.Dir = 0, t.TempDir()
	opts.Loss = explodes{DefaultLoss(), "q3.1"}
	steps := 0
	opts.Events.Step = func(s retort.Step) { steps = s.Step }
	_, err := Train(background, newStudent(t), corpus, lists, opts)
	var failed *stepFailure
	require.ErrorAs(t, err, &failed)
	require.ErrorIs(t, err, encoder.ErrNonFinite)
	require.Equal(t, steps+1, failed.Step)
	require.Contains(t, failed.Queries, "q3.1")
	require.LessOrEqual(t, len(failed.Queries), 5)
	require.Equal(t, opts.Checkpoints.Dir, failed.Checkpoint)
	require.Equal(t, steps, failed.CheckpointStep)
	require.ErrorContains(t, err, "in "+opts.Checkpoints.Dir)
}

// batchLoss returns losses of its own.
type batchLoss struct {
	loss.ListwiseKL
	values *[]float64
}

func (l batchLoss) Step(context.Context, []loss.Row, blas32.General, blas32.General, blas32.General,
	blas32.General,
) (float64, error) {
	v := (*l.values)[0]
	*l.values = (*l.values)[1:]
	return v, nil
}

func TestALossThatIsNotFiniteEndsTrainingBeforeTheStep(t *testing.T) {
	corpus, lists := world(t)
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		e, opts := newStudent(t), quick()
		opts.Selection.DevFraction = 0
		opts.Loss = batchLoss{values: &[]float64{1, 1, bad}}
		var before Weights
		opts.Events.Step = func(retort.Step) { before = weightsOf(t, e) }
		_, err := Train(background, e, corpus, lists, opts)
		require.ErrorIs(t, err, errNonFiniteLoss)
		require.ErrorContains(t, err, "step 3 of")
		require.ErrorContains(t, err, "there is no checkpoint")
		require.Equal(t, before, weightsOf(t, e))
	}
}

func TestALossThatExplodesEndsTraining(t *testing.T) {
	corpus, lists := world(t)
	values := func(late ...float64) *[]float64 {
		v := []float64{1, 2, 1, 1, 1, 1, 1, 1, 1, 1}
		v = append(v, late...)
		for len(v) < 20 {
			v = append(v, 1)
		}
		return &v
	}
	for _, test := range []struct {
		name  string
		rise  float64
		late  []float64
		fails string
	}{
		{"one hard list", 20, []float64{300}, ""},
		{"several", 20, []float64{100, 100, 100, 100, 100}, "step 14 of"},
		{"not watched", 0, []float64{1e9, 1e9}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := quick()
			opts.Selection.DevFraction, opts.Schedule.MaxLossRise, opts.Loss = 0, test.rise, batchLoss{values: values(test.late...)}
			_, err := Train(background, newStudent(t), corpus, lists, opts)
			if test.fails == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, errExplodingLoss)
			require.ErrorContains(t, err, test.fails)
		})
	}
}
