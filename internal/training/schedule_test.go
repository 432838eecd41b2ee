package training

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRateRisesThenFallsToTheLeastRate(t *testing.T) {
	s := Schedule{Items: 10, PerStep: 1, Epochs: 1, LR: 2, Warmup: 0.4, MinLR: 0.3}
	var rates []float64
	for step := range s.Steps() {
		rates = append(rates, s.Rate(step))
	}
	require.InDeltaSlice(t, []float64{0.5, 1, 1.5, 2, 2, 10. / 6, 8. / 6, 1, 4. / 6, 0.6}, rates, 1e-12)
}

func TestRateWithoutWarmupStartsAtThePeak(t *testing.T) {
	s := Schedule{Items: 4, PerStep: 1, Epochs: 1, LR: 1}
	require.Equal(t, []float64{1, 0.75, 0.5, 0.25}, []float64{s.Rate(0), s.Rate(1), s.Rate(2), s.Rate(3)})
}

func TestRateOfWarmupOnlyRisesToThePeak(t *testing.T) {
	s := Schedule{Items: 4, PerStep: 2, Epochs: 2, LR: 1, Warmup: 1, MinLR: 0.1}
	require.Equal(t, []float64{0.25, 0.5, 0.75, 1}, []float64{s.Rate(0), s.Rate(1), s.Rate(2), s.Rate(3)})
}

func TestEveryEpochHasEveryListOnceInAnOrderOfItsOwn(t *testing.T) {
	fresh := func(seed uint64) *Schedule { return &Schedule{Items: 10, PerStep: 4, Epochs: 3, Seed: seed} }
	s := fresh(7)
	require.Equal(t, 3, s.StepsPerEpoch())
	require.Equal(t, 9, s.Steps())
	var orders [][]int
	for epoch := range 3 {
		var order []int
		for step := range 3 {
			order = append(order, s.Batch(3*epoch+step)...)
		}
		orders = append(orders, order)
		sorted := slices.Sorted(slices.Values(order))
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, sorted)
	}
	require.NotEqual(t, orders[0], orders[1])
	require.NotEqual(t, orders[1], orders[2])
	require.Len(t, s.Batch(2), 2, "the rest of an epoch")

	require.Equal(t, s.Batch(4), fresh(7).Batch(4), "no step needs those before it")
	require.NotEqual(t, s.Batch(4), fresh(8).Batch(4))
}
