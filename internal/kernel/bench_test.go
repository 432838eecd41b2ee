package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The layers of all-MiniLM-L6-v2, for a query and for a passage, on each path.
func BenchmarkMul(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	onEachPathOf(b, func(b *testing.B) {
		for _, s := range [][2]int{{384, 384}, {1536, 384}, {384, 1536}} {
			out, in := s[0], s[1]
			p := Pack(normal(random, out*in), out, in, nil)
			for _, rows := range []int{4, 12, 32, 128} {
				b.Run(fmt.Sprintf("%dx%dx%d", rows, in, out), func(b *testing.B) {
					a, dst := normal(random, rows*in), make([]float32, rows*out)
					for b.Loop() {
						p.Mul(dst, a, rows)
					}
					b.ReportMetric(2*float64(b.N)*float64(rows*in*out)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	})
}

func BenchmarkPack(b *testing.B) {
	onEachPathOf(b, func(b *testing.B) {
		const out, in = 1536, 384
		weights := make([]float32, out*in)
		var p Packed
		b.SetBytes(4 * out * in)
		for b.Loop() {
			p.Load(weights, in, out, in)
		}
	})
}

func BenchmarkVector(b *testing.B) {
	const n = 1536
	x, y, weight := make([]float32, n), make([]float32, n), make([]float32, n)
	onEachPathOf(b, func(b *testing.B) {
		for _, c := range []struct {
			name string
			f    func()
		}{
			{"gelu", func() { GELU(x) }},
			{"gelutanh", func() { GELUTanh(x) }},
			{"silu", func() { SiLU(x) }},
			{"softmax", func() { Softmax(x) }},
			{"layernorm", func() { LayerNorm(x, x, y, weight, weight, 1e-12) }},
			{"dot", func() { Dot(x, y) }},
		} {
			b.Run(c.name, func(b *testing.B) {
				b.SetBytes(4 * n)
				for b.Loop() {
					c.f()
				}
			})
		}
	})
}

func onEachPathOf(b *testing.B, benchmark func(b *testing.B)) {
	for _, p := range Paths() {
		b.Run(p.String(), func(b *testing.B) {
			defer Force(p)()
			benchmark(b)
		})
	}
}
