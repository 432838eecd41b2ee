package zscore

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func of(scores ...float64) []float64 {
	s := Of(len(scores), func(i int) float64 { return scores[i] })
	z := make([]float64, len(scores))
	for i, score := range scores {
		z[i] = s.Z(score)
	}
	return z
}

// The values are those of scipy.stats.zscore(x), whose ddof is 0.
func TestScoresAreStandardisedByThePopulationsDeviation(t *testing.T) {
	for _, c := range []struct{ scores, want []float64 }{
		{[]float64{1, 2, 3, 4}, []float64{-1.3416407864998738, -0.4472135954999579, 0.4472135954999579, 1.3416407864998738}},
		{[]float64{math.MaxFloat64, -math.MaxFloat64}, []float64{1, -1}},
		{[]float64{3e-300, 1e-300}, []float64{1, -1}},
		{[]float64{.1 + .2, .3, .3}, []float64{0, 0, 0}}, // the same but for rounding
		{[]float64{0, 0}, []float64{0, 0}},
		{[]float64{7}, []float64{0}},
		{nil, []float64{}},
	} {
		require.InDeltaSlice(t, c.want, of(c.scores...), 1e-14, "%v", c.scores)
	}
}

// Scores of ordinary size give the bits of the formula as it is written.
func TestScalingRoundsNothing(t *testing.T) {
	scores := []float64{12.25, 3.7, -1.1, 8.01, 8.02}
	var mean, squares float64
	for _, s := range scores {
		mean += s
	}
	mean /= 5
	for _, s := range scores {
		squares += float64((s - mean) * (s - mean))
	}
	deviation := math.Sqrt(squares / 5)
	for i, z := range of(scores...) {
		require.Equal(t, (scores[i]-mean)/deviation, z)
	}
}
