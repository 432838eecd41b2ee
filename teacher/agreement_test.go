package teacher

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestAgreement(t *testing.T) {
	a, b, c := []float64{1, 2, 3, 4, 5, 5}, []float64{2, 1, 4, 4, 6, 0}, []float64{9, 8, 1, 3, 3, 2}
	for _, tc := range []struct {
		name   string
		scores [][]float64
		want   float64
	}{
		// scipy.stats.kendalltau: .2142857142857143, -.5, -.07142857142857144
		{"tau-b of scipy", [][]float64{a, b}, (1 + .2142857142857143) / 2},
		{"mean over the pairs", [][]float64{a, b, c}, .5 + (.2142857142857143-.5-.07142857142857144)/6},
		{"alike on other scales", [][]float64{{1, 2, 3}, {-50, 0, 700}}, 1},
		{"the other way round", [][]float64{{1, 2, 3}, {3, 2, 1}}, 0},
		{"one says nothing", [][]float64{{1, 2, 3}, {7, 7, 7}}, .5},
		{"missing is the lowest", [][]float64{{1, 2, 3}, {nan, 5, 6}}, (1 + 2/math.Sqrt(6)) / 2},
		{"all missing", [][]float64{{1, 2, 3}, {nan, nan, nan}}, .5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.InDelta(t, tc.want, agreement(tc.scores), 1e-12)
		})
	}
}

func TestABatchOfAnEnsembleSaysHowFarItsMembersAgree(t *testing.T) {
	ordered := func(sign float64) Teacher {
		return Func(func(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
			scores := make([]float64, len(ps))
			for i := range ps {
				scores[i] = float64(i)
				if q.ID == "q2" {
					scores[i] *= sign
				}
			}
			return scores, nil
		})
	}
	e, err := NewEnsemble(Member{Teacher: ordered(1)}, Member{Teacher: ordered(-1)})
	require.NoError(t, err)
	got := map[string]float64{}
	for work, scored := range ScoreAll(t.Context(), e, stream(works(4)), 1) {
		require.NoError(t, scored.Err)
		got[work.Query.ID] = scored.Agreement
	}
	require.Equal(t, map[string]float64{"q0": 0, "q1": 1, "q2": 0, "q3": 1}, got, "q0 has one passage: nothing to agree on")
	for _, scored := range ScoreAll(t.Context(), ordered(1), stream(works(2)), 1) {
		require.Zero(t, scored.Agreement, "one teacher agrees with nobody")
	}
}
