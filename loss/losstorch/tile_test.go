package losstorch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTilesStayWithinTheBudget(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 512, 4096} {
		for _, m := range []int{1, 7, 640, 10_240, 81_920} {
			for _, budget := range []int64{1, 16, 100, 4_000, 1 << 20, 64 << 20, 1 << 40} {
				got := tileShape(n, m, budget, 16)
				require.Positive(t, got.rows)
				require.Positive(t, got.columns)
				require.LessOrEqual(t, got.rows, n)
				require.LessOrEqual(t, got.columns, m)
				require.LessOrEqual(t, int64(got.rows)*int64(got.columns), max(1, budget/16), "%d x %d, budget %d", n, m, budget)
			}
		}
	}
}

func TestTilesAreWholeRowsWhereSeveralFit(t *testing.T) {
	for _, test := range []struct {
		n, m   int
		budget int64 // elements
		want   shape
	}{
		{512, 10_240, 512 * 10_240, shape{512, 10_240}},
		{512, 10_240, 100 * 10_240, shape{100, 10_240}},
		{4096, 81_920, 31 * 81_920, shape{32, 31 * 81_920 / 32}},
		{2, 1000, 2000, shape{2, 1000}},
		{2, 1000, 1999, shape{2, 999}},
		{512, 10_240, 1, shape{1, 1}},
	} {
		require.Equal(t, test.want, tileShape(test.n, test.m, test.budget*16, 16))
	}
}

func TestElementsAreCountedWithAllThatHasTheirShape(t *testing.T) {
	require.EqualValues(t, 8, elementBytes(0, 4, false))
	require.EqualValues(t, 16, elementBytes(1, 4, false))
	require.EqualValues(t, 32, elementBytes(1, 8, true))
}
