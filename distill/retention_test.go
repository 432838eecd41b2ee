package distill

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// distance from the start, by one weight: a stand-in for what is forgotten.
func distanceFrom(t *testing.T, start Weights) func(context.Context, encoder.Encoder) (float64, error) {
	return func(_ context.Context, e encoder.Encoder) (float64, error) {
		var sum float64
		for i, w := range weightsOf(t, e) {
			for j, x := range w {
				d := float64(x) - float64(start[i][j])
				sum -= d * d
			}
		}
		return sum, nil
	}
}

func TestAStudentThatForgetsEndsTrainingAndIsNotTheBest(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	var log bytes.Buffer
	opts.Events = retort.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
	floors := []float64{0.5, 0.45, 0.3}
	n := 0
	opts.Retention = Retention{
		MaxDrop:  0.1,
		Evaluate: func(context.Context, encoder.Encoder) (float64, error) { n++; return floors[n-1], nil },
	}
	opts.Selection.Evaluate = func(context.Context, encoder.Encoder) (float64, error) {
		return float64(n),
			nil
	} // ever better
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Equal(t, "retention", result.Stopped)
	require.Equal(t, 6, result.Steps)
	require.Equal(t, 3, result.Best.Step)
	require.Len(t, result.History, 3)
	require.True(t, result.History[2].Forgot)
	require.Equal(t, 0.3, result.History[2].Retention)
	require.Contains(t, log.String(), "retention fell below its limit: training ends")
}

// Both towers and query side: the student is drawn back to the greatest share that holds, and goes on from there to the
// same bits after kills too.
func TestAStudentThatForgetsIsDrawnBack(t *testing.T) {
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		t.Run(towers.String(), func(t *testing.T) {
			opts := quick()
			opts.Towers, opts.Checkpoints.Every = towers, 0
			start := weightsOf(t, newStudent(t))
			opts.Retention = Retention{
				MaxDrop: 0.02, DrawBack: []float64{0.02, 0.1, 0.5, 0.25},
				Evaluate: distanceFrom(t, start),
			}
			e := newStudent(t)
			result, err := Train(background, e, corpus, lists, opts)
			require.NoError(t, err)
			drawn := 0
			for _, h := range result.History {
				require.False(t, h.Forgot)
				require.GreaterOrEqual(t, h.Retention, -0.02)
				if h.DrawnBack > 0 {
					drawn++
				}
			}
			require.Positive(t, drawn)
			require.Empty(t, result.Stopped)
			floor, err := opts.Retention.Evaluate(background, e)
			require.NoError(t, err)
			require.GreaterOrEqual(t, floor, -0.02)

			opts.Checkpoints.Dir = t.TempDir()
			killedAt(t, opts, 7)
			again := newStudent(t)
			resumed, err := Train(background, again, corpus, lists, opts)
			require.NoError(t, err)
			require.Equal(t, result, resumed)
			require.Equal(t, stateOf(t, e), stateOf(t, again))
		})
	}
}

func TestWhereNoShareHoldsTheFloorTrainingEnds(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	start := weightsOf(t, e)
	opts.Retention = Retention{DrawBack: []float64{0.5}, Evaluate: distanceFrom(t, start)}
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Equal(t, "retention", result.Stopped)
	require.Zero(t, result.Best.Step)
	require.Equal(t, start, weightsOf(t, e))
}

func TestInterpolationRetains(t *testing.T) {
	corpus, lists := world(t)
	e, opts := newStudent(t), quick()
	opts.Towers = QueryOnly
	n, scores := 0, []float64{0, 1, 1, 1, 1, 1, 1, 1 /* shares: */, 3, 2}
	opts.Selection.Evaluate = func(context.Context, encoder.Encoder) (float64, error) { n++; return scores[n-1], nil }
	opts.Retention.Evaluate = func(context.Context, encoder.Encoder) (float64, error) {
		if n == 9 { // the share with the best score
			return -1, nil
		}
		return 0, nil
	}
	opts.Selection.Interpolate = []float64{0.25, 0.5}
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Equal(t, 0.5, result.Alpha)
	require.Equal(t, 2.0, result.AlphaScore)
}

func TestTheLossOfHeldOutListsChooses(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Selection.ByLoss, opts.Selection.Dev = true, lists
	e := newStudent(t)
	result, err := Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Greater(t, result.Best.Score, result.History[0].Score)
	require.Negative(t, result.Best.Score)
	for _, h := range result.History {
		require.LessOrEqual(t, h.Score, result.Best.Score)
	}

	opts.Selection.Evaluate, opts.Selection.Dev = func(context.Context, encoder.Encoder) (float64, error) { return 0, nil }, nil
	require.ErrorContains(t, opts.Validate(), "Options.Selection.ByLoss")
}

// killedAt trains until a step has been made and reported, and ends there as a kill would.
func killedAt(t *testing.T, opts Options, step int) {
	t.Helper()
	corpus, lists := world(t)
	n := 0
	e := &student{Encoder: newStudent(t), onStep: func() error {
		if n++; n > step {
			return errKilled
		}
		return nil
	}}
	_, err := Train(background, e, corpus, lists, opts)
	require.ErrorIs(t, err, errKilled)
}
