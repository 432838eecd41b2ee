package loss_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
)

// Whatever stands in a row, a loss gives an error that names the query or finite numbers, and after an error of a
// single loss the gradient is untouched.
func TestGarbageGivesAnErrorOrFiniteNumbers(t *testing.T) {
	losses := []loss.Loss{loss.InfoNCE{MaskRatio: 0.6}, loss.InfoNCE{}, loss.ListwiseKL{}, loss.MarginMSE{}}
	rng := rand.New(rand.NewPCG(8, 9))
	accepted := 0
	for range 20_000 {
		r, sim, grad := garbage(rng)
		for _, l := range losses {
			clear(grad)
			value, err := l.Row(&r, sim, grad, 1)
			if err != nil {
				require.ErrorContains(t, err, `"q7"`)
				for _, g := range grad {
					require.Zero(t, g)
				}
				continue
			}
			accepted++
			require.Falsef(t, math.IsNaN(value) || math.IsInf(value, 0), "%T: %v of %+v, %v", l, value, r, sim)
			for _, g := range grad {
				require.Falsef(t, math.IsNaN(float64(g)), "%T: gradient %v of %+v, %v", l, grad, r, sim)
			}
		}
	}
	require.Greater(t, accepted, 10_000)
}

func garbage(rng *rand.Rand) (r loss.Row, sim, grad []float32) {
	numbers := []float64{0, 0.5, 1, 0.25, 0.75, -1, 3e38, -3e38, 1e-45, math.Inf(1), math.Inf(-1), math.NaN()}
	number := func() float64 {
		if rng.IntN(8) == 0 {
			return numbers[rng.IntN(len(numbers))]
		}
		return numbers[rng.IntN(5)]
	}
	n := rng.IntN(6)
	length := func() int {
		if rng.IntN(10) == 0 {
			return rng.IntN(6)
		}
		return n
	}
	column := func() int32 { return int32(rng.IntN(n+2)) - int32(rng.IntN(8)/7) }
	floats := func(k int) []float32 {
		x := make([]float32, k)
		for i := range x {
			x[i] = float32(number())
		}
		return x
	}
	r = loss.Row{ID: "q7", Positive: column() - 1}
	sim, grad = floats(n), make([]float32, length())
	for range rng.IntN(4) {
		r.List = append(r.List, column())
		r.Teacher = append(r.Teacher, number())
	}
	for range rng.IntN(3) {
		r.Ignore = append(r.Ignore, column())
	}
	if rng.IntN(4) == 0 {
		r.Count = floats(length())
	}
	if rng.IntN(4) == 0 {
		r.Weight = number()
	}
	return r, sim, grad
}
