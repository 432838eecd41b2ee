package ndcg

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDCGDiscountsByRankAndStopsAtK(t *testing.T) {
	grades := []int{3, 2, -1, 0, 1}
	require.Equal(t, 3+2/math.Log2(3)+1/math.Log2(6), DCG(grades, 10))
	require.Equal(t, 3+2/math.Log2(3), DCG(grades, 4))
	require.Equal(t, .5/math.Log2(3), DCG([]float64{0, .5}, 10))
	require.Zero(t, DCG([]int(nil), 10))
}
