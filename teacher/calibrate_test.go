package teacher

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMinMax(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []float64
	}{
		{"spread", []float64{2, -2, 0}, []float64{1, 0, .5}},
		{"all the same tie for the best", []float64{3, 3}, []float64{1, 1}},
		{"one passage", []float64{-7}, []float64{1}},
		{"a range beyond float64", []float64{math.MaxFloat64, -math.MaxFloat64, 0}, []float64{1, 0, .5}},
		{"neighbouring numbers", []float64{1, math.Nextafter(1, 2)}, []float64{0, 1}},
		{"empty", nil, []float64{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := MinMax(c.in)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestPercentileMinMaxUsesOneRangeForAllLists(t *testing.T) {
	// numpy.percentile([-4, 0, 1, 2, 3, 10, 11], [10, 90]) is [-1.6, 10.4].
	got, err := PercentileMinMax([][]float64{{1, 11, -4}, {}, {0, 2, 3, 10}}, 10, 90)
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.InDeltaSlice(t, []float64{2.6 / 12, 1, 0}, got[0], 1e-12)
	require.Empty(t, got[1])
	require.InDeltaSlice(t, []float64{1.6 / 12, 3.6 / 12, 4.6 / 12, 11.6 / 12}, got[2], 1e-12)
}

func TestPercentileMinMaxFrom0To100OfOneListIsMinMax(t *testing.T) {
	scores := []float64{3, 1, 4, 1, 5, 9, 2, 6}
	want, err := MinMax(scores)
	require.NoError(t, err)
	got, err := PercentileMinMax([][]float64{scores}, 0, 100)
	require.NoError(t, err)
	require.Equal(t, want, got[0])
}

func TestOnStudentScaleIsTheStudentsDistributionPlusGammaZ(t *testing.T) {
	s0, z := []float64{.62, .58, .31, .6}, []float64{-.4, 1.6, .2, -1.4}
	const tau, gamma = .05, .7
	target, err := OnStudentScale(s0, z, tau, gamma)
	require.NoError(t, err)
	for i := range target {
		require.InDelta(t, s0[i]/tau+gamma*z[i], target[i]/tau, 1e-12, "the logits of the softmax at temperature tau")
	}

	same, err := OnStudentScale(s0, z, tau, 0)
	require.NoError(t, err)
	require.Equal(t, s0, same, "gamma 0 asks for no change")
}

func TestCalibrationsRefuseBadInput(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"MinMax NaN", second(MinMax([]float64{1, nan})), "score 1 is NaN"},
		{"PercentileMinMax Inf", second(PercentileMinMax([][]float64{{1}, {math.Inf(1)}}, 1, 99)), "list 1: score 0 is +Inf"},
		{"PercentileMinMax order", second(PercentileMinMax(nil, 99, 1)), "percentiles 99 and 1"},
		{"PercentileMinMax range", second(PercentileMinMax(nil, 0, 101)), "percentiles 0 and 101"},
		{"OnStudentScale lengths", second(OnStudentScale([]float64{1}, nil, .05, 1)), "1 similarities, but 0 z-scores"},
		{"OnStudentScale tau", second(OnStudentScale(nil, nil, 0, 1)), "temperature is 0"},
		{"OnStudentScale gamma", second(OnStudentScale(nil, nil, .05, -1)), "gamma is -1"},
		{"OnStudentScale NaN", second(OnStudentScale([]float64{1}, []float64{nan}, .05, 1)), "score 0 is NaN"},
	} {
		t.Run(c.name, func(t *testing.T) { require.ErrorContains(t, c.err, c.want) })
	}
}

func second[T any](_ T, err error) error { return err }
