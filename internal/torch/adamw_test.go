//go:build libtorch

package torch

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdamWIsItsFormulaOnEveryPath(t *testing.T) {
	a := AdamW{Scale: .5, Weight1: .1, Weight2: .001, Keep: .99, Rate: .03, Eps: 1e-7}
	const n = 3*smallest + 7 // several threads, and elements beyond the last vector
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(scale float64) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(scale * rng.NormFloat64())
		}
		return values
	}
	w, m, g, v := random(1), random(.1), random(1), random(1)
	for i := range v {
		v[i] *= v[i]
	}
	g[5], m[5], v[5] = 0, 0, 0
	want := make([]float64, n)
	for i := range want {
		x := a.Scale * float64(g[i])
		first := float64(m[i]) + a.Weight1*(x-float64(m[i]))
		second := float64(v[i]) + a.Weight2*(x*x-float64(v[i]))
		want[i] = a.Keep*float64(w[i]) - a.Rate*first/(math.Sqrt(second)+a.Eps)
	}
	step := func(threads int, f func(s *Scope, w, m, v, g Tensor)) (weights []float32) {
		rt, err := Open(Options{Threads: threads})
		require.NoError(t, err)
		defer rt.Close()
		run(t, rt, func(s *Scope) {
			tensor, gradient := s.FromFloats(w, n), s.FromFloats(g, n)
			f(s, tensor, s.FromFloats(m, n), s.FromFloats(v, n), gradient)
			weights = s.Floats(tensor)
			require.Zero(t, s.Floats(s.NormAll(gradient))[0])
		})
		for i := range want {
			require.InDelta(t, want[i], weights[i], 1e-6*(1+math.Abs(want[i])), "element %d, %d threads", i, threads)
		}
		return weights
	}
	fused := func(s *Scope, w, m, v, g Tensor) { s.AdamW(a, w, m, v, g, n) }
	first := step(1, fused)
	require.Equal(t, first, step(2, fused), "bits do not depend on the threads")
	require.Equal(t, first, step(3, fused))
	step(2, func(s *Scope, w, m, v, g Tensor) { s.adamWByOperations(a, w, m, v, g) })
}

// BenchmarkAdamW is a step of MiniLM's 22.7 million parameters, in one pass over memory and by LibTorch's operations.
func BenchmarkAdamW(b *testing.B) {
	const n = 22_700_000
	a := AdamW{Scale: .5, Weight1: .1, Weight2: .001, Keep: .99, Rate: .03, Eps: 1e-7}
	for _, path := range []struct {
		name string
		step func(s *Scope, w, m, v, g Tensor)
	}{
		{"fused", func(s *Scope, w, m, v, g Tensor) { s.AdamW(a, w, m, v, g, n) }},
		{"operations", func(s *Scope, w, m, v, g Tensor) { s.adamWByOperations(a, w, m, v, g) }},
	} {
		b.Run(path.name, func(b *testing.B) {
			rt := open(b)
			run(b, rt, func(s *Scope) {
				w, m, v, g := s.Zeros(Float32, n), s.Zeros(Float32, n), s.Zeros(Float32, n), s.Zeros(Float32, n)
				for b.Loop() {
					s.Sub(func(s *Scope) Tensor {
						path.step(s, w, m, v, g)
						return nil
					})
				}
			})
		})
	}
}
