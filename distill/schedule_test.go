package distill

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRateRisesThenFallsToTheLeastRate(t *testing.T) {
	o := Schedule{QueriesPerStep: 1, Epochs: 1, LR: 2, Warmup: 0.4, MinLR: 0.3}
	s := newSchedule(10, o)
	var rates []float64
	for step := range s.steps() {
		rates = append(rates, s.rate(step))
	}
	require.InDeltaSlice(t, []float64{0.5, 1, 1.5, 2, 2, 10. / 6, 8. / 6, 1, 4. / 6, 0.6}, rates, 1e-12)
}

func TestRateWithoutWarmupStartsAtThePeak(t *testing.T) {
	s := newSchedule(4, Schedule{QueriesPerStep: 1, Epochs: 1, LR: 1})
	require.Equal(t, []float64{1, 0.75, 0.5, 0.25}, []float64{s.rate(0), s.rate(1), s.rate(2), s.rate(3)})
}

func TestRateOfWarmupOnlyRisesToThePeak(t *testing.T) {
	s := newSchedule(4, Schedule{QueriesPerStep: 2, Epochs: 2, LR: 1, Warmup: 1, MinLR: 0.1})
	require.Equal(t, []float64{0.25, 0.5, 0.75, 1}, []float64{s.rate(0), s.rate(1), s.rate(2), s.rate(3)})
}

func TestEveryEpochHasEveryListOnceInAnOrderOfItsOwn(t *testing.T) {
	o := Schedule{QueriesPerStep: 4, Epochs: 3, Seed: 7}
	s := newSchedule(10, o)
	require.Equal(t, 3, s.stepsPerEpoch())
	require.Equal(t, 9, s.steps())
	var orders [][]int
	for epoch := range 3 {
		var order []int
		for step := range 3 {
			order = append(order, s.batch(3*epoch+step)...)
		}
		orders = append(orders, order)
		sorted := slices.Sorted(slices.Values(order))
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, sorted)
	}
	require.NotEqual(t, orders[0], orders[1])
	require.NotEqual(t, orders[1], orders[2])
	require.Len(t, s.batch(2), 2, "the rest of an epoch")

	require.Equal(t, s.batch(4), newSchedule(10, o).batch(4), "no step needs those before it")
	o.Seed = 8
	require.NotEqual(t, s.batch(4), newSchedule(10, o).batch(4))
}
