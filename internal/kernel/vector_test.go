package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestActivationsAreThoseOfFloat64(t *testing.T) {
	for _, c := range []struct {
		name string
		of   func(x []float32)
		want func(x float64) float64
	}{
		{"gelu", GELU, func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }},
		{"gelu tanh", GELUTanh, func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}},
		{"silu", SiLU, func(x float64) float64 { return x / (1 + math.Exp(-x)) }},
		{"relu", ReLU, func(x float64) float64 { return max(x, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEachPath(t, func(t *testing.T) {
				x := []float32{0, 1, -1, 100, -100, 3e4, -3e4, 1e-30, -1e-30, 1e19, -1e19, 3e38, -3e38}
				for v := float32(-15); v <= 15; v += 0.003 {
					x = append(x, v)
				}
				got := guardedCopy(x)
				c.of(got)
				for i, v := range x {
					require.InDelta(t, 0, relative(got[i], c.want(float64(v))), 1e-6, "of %g: %g", v, got[i])
				}
				for n := range 40 {
					some := guardedCopy(x[200 : 200+n])
					c.of(some)
					require.Equal(t, got[200:200+n], some[:n:n], "%d numbers", n)
					checkGuard(t, some, c.name)
				}
			})
		})
	}
}

// relative returns the error relative to numbers above 1, the absolute error below.
func relative(got float32, want float64) float64 {
	return (float64(got) - want) / max(1, math.Abs(want))
}

func TestSoftmaxIsThatOfFloat64(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for n := 1; n <= 140; n++ {
			for _, spread := range []float32{0, 1, 30, 1e30} {
				x := guarded(n)
				for i := range x {
					x[i] = spread * float32(random.NormFloat64())
				}
				if n > 3 {
					x[1], x[n-1] = float32(math.Inf(-1)), float32(math.Inf(-1))
				}
				want := softmax64(x)
				got := guardedCopy(x)
				Softmax(got)
				for i := range want {
					require.InDelta(t, want[i], got[i], 1e-6, "%d of %d, spread %g", i, n, spread)
				}
				checkGuard(t, got, "softmax")
			}
		}
	})
}

func TestSoftmaxOfWhatIsMaskedIsZero(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		x := []float32{0, float32(math.Inf(-1)), 0, float32(math.Inf(-1))}
		Softmax(x)
		require.Equal(t, []float32{.5, 0, .5, 0}, x)
		Softmax(nil)
	})
}

func softmax64(x []float32) []float64 {
	largest, sum := float64(slices.Max(x)), 0.0
	p := make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(float64(v) - largest)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func TestNormsAreThoseOfFloat64(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(3, 4))
		for n := 1; n <= 100; n++ {
			for _, mean := range []float32{0, 20} {
				x, residual, weight, bias := normal(random, n), normal(random, n), normal(random, n), normal(random, n)
				Add(x, slices.Repeat([]float32{mean}, n))
				const eps = 1e-3
				for _, residual := range [][]float32{nil, residual} {
					for _, bias := range [][]float32{nil, bias} {
						got := guarded(n)
						LayerNorm(got, x, residual, weight, bias, eps)
						checkClose(t, norm64(x, residual, weight, bias, eps, true), got)
						checkGuard(t, got, "layer norm")
						inPlace := slices.Clone(x)
						LayerNorm(inPlace, inPlace, residual, weight, bias, eps)
						require.Equal(t, got[:n:n], inPlace)
						if residual != nil {
							inPlace = slices.Clone(residual)
							LayerNorm(inPlace, x, inPlace, weight, bias, eps)
							require.Equal(t, got[:n:n], inPlace)
						}
					}
				}
				got := guarded(n)
				RMSNorm(got, x, weight, eps)
				checkClose(t, norm64(x, nil, weight, nil, eps, false), got)
				checkGuard(t, got, "rms norm")
				RMSNorm(x, x, weight, eps)
				require.Equal(t, got[:n:n], x)
			}
		}
		LayerNorm(nil, nil, nil, nil, nil, 1)
		RMSNorm(nil, nil, nil, 1)
	})
}

func norm64(x, residual, weight, bias []float32, eps float64, centred bool) []float64 {
	n := float64(len(x))
	s := make([]float64, len(x))
	mean, squares := 0.0, 0.0
	for i := range s {
		s[i] = float64(x[i])
		if residual != nil {
			s[i] += float64(residual[i])
		}
		mean += s[i] / n
	}
	if !centred {
		mean = 0
	}
	for i := range s {
		s[i] -= mean
		squares += s[i] * s[i]
	}
	for i := range s {
		s[i] = s[i] / math.Sqrt(squares/n+eps) * float64(weight[i])
		if bias != nil {
			s[i] += float64(bias[i])
		}
	}
	return s
}

func checkClose(t *testing.T, want []float64, got []float32) {
	t.Helper()
	for i := range want {
		require.InDelta(t, 0, relative(got[i], want[i]), 1e-5, "%d of %d", i, len(want))
	}
}

func TestElementWiseArithmetic(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(5, 6))
		for n := range 100 {
			x, y := normal(random, n), normal(random, n)
			sum, product, scaled := guardedCopy(x), guardedCopy(x), guardedCopy(x)
			Add(sum, y)
			Multiply(product, y)
			Scale(scaled, -1.5)
			dot, size := 0.0, 0.0
			for i := range n {
				require.Equal(t, x[i]+y[i], sum[i])
				require.Equal(t, x[i]*y[i], product[i])
				require.Equal(t, x[i]*-1.5, scaled[i])
				dot += float64(x[i]) * float64(y[i])
				size += math.Abs(float64(x[i]) * float64(y[i]))
			}
			for _, s := range [][]float32{sum, product, scaled} {
				checkGuard(t, s, "arithmetic")
			}
			require.InDelta(t, dot, Dot(x, y), rounding*(1+size))
		}
	})
}

func TestTheFirstAboveItsBoundIsFound(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		for n := range 70 {
			x, bound := make([]float32, n), make([]float32, n)
			for i := range n {
				x[i], bound[i] = float32(i), float32(i) // an equal number is not above
			}
			require.Equal(t, n, FirstAbove(x, bound))
			for i := n - 1; i >= 0; i-- {
				bound[i]--
				require.Equal(t, i, FirstAbove(x, bound))
			}
			for i := range n {
				x[i] = float32(math.NaN())
			}
			require.Equal(t, n, FirstAbove(x, bound))
		}
	})
}
