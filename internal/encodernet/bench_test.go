//go:build libtorch

package encodernet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/torch"
)

// miniLM is the shape of all-MiniLM-L6-v2.
var miniLM = Config{
	HiddenSize: 384, Layers: 6, Heads: 12, IntermediateSize: 1536, VocabSize: 30_522, MaxPositions: 512, TypeVocabSize: 2,
	LayerNormEps: 1e-12, Activation: "gelu",
}

// BenchmarkMicroBatch is a micro-batch forward and backward, texts of one length.
func BenchmarkMicroBatch(b *testing.B) {
	for _, precision := range []struct {
		name string
		kind torch.Type
	}{{"fp32", torch.Float32}, {"bf16", torch.BFloat16}} {
		for _, shape := range []struct{ rows, width int }{{16, 16}, {64, 64}, {32, 128}, {16, 256}} {
			b.Run(fmt.Sprintf("%s/%dx%d", precision.name, shape.rows, shape.width), func(b *testing.B) {
				rt, n := randomNetwork(b, miniLM)
				batch := randomBatch(miniLM, shape.rows, shape.width).ForTraining()
				forwardBackward(b, rt, n, batch, precision.kind)
				before := processorTime(b)
				for b.Loop() {
					forwardBackward(b, rt, n, batch, precision.kind)
				}
				b.ReportMetric(float64(b.N*shape.rows*shape.width)/b.Elapsed().Seconds(), "tokens/s")
				b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
			})
		}
	}
}

// BenchmarkAdamW is one step on MiniLM's 22.7 million parameters, and the gradients' norm before it.
func BenchmarkAdamW(b *testing.B) {
	rt, n := randomNetwork(b, miniLM)
	forwardBackward(b, rt, n, randomBatch(miniLM, 1, 8), torch.Float32)
	on := func(f func(s *torch.Scope)) {
		require.NoError(b, rt.Run(b.Context(), func(s *torch.Scope) error {
			f(s)
			return s.Err()
		}))
	}
	b.Run("norm", func(b *testing.B) {
		for b.Loop() {
			on(func(s *torch.Scope) { n.Params.GradNorm(s) })
		}
	})
	step := 0
	b.Run("update", func(b *testing.B) {
		for b.Loop() {
			step++
			on(func(s *torch.Scope) {
				n.Params.Step(s, step, AdamW{LR: 1e-4, WeightDecay: .01, Beta1: .9, Beta2: .999, Eps: 1e-8, Scale: .5})
			})
		}
	})
}

// processorTime is comparable where other programs share the machine.
func processorTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// randomNetwork lives as long as the test.
func randomNetwork(tb testing.TB, c Config) (*torch.Runtime, *Network) {
	rt, err := torch.Open(torch.Options{})
	require.NoError(tb, err)
	rng := rand.New(rand.NewPCG(1, 2))
	n, err := New(tb.Context(), rt, c, func(_ string, shape []int) ([]float32, error) {
		values := make([]float32, (&Parameter{Shape: shape}).Size())
		for i := range values {
			values[i] = .02 * float32(rng.NormFloat64())
			if len(shape) == 1 {
				values[i]++
			}
		}
		return values, nil
	})
	require.NoError(tb, err)
	tb.Cleanup(func() {
		require.NoError(tb, rt.Run(context.Background(), func(s *torch.Scope) error {
			n.Params.Free(s)
			return nil
		}))
		require.Zero(tb, rt.Live())
		require.NoError(tb, rt.Close())
	})
	return rt, n
}

func randomBatch(c Config, rows, width int) Batch {
	rng := rand.New(rand.NewPCG(3, 4))
	texts := make([][]int32, rows)
	for i := range texts {
		for range width {
			texts[i] = append(texts[i], rng.Int32N(int32(c.VocabSize)))
		}
	}
	return NewBatch(texts, 0)
}

func forwardBackward(tb testing.TB, rt *torch.Runtime, n *Network, batch Batch, precision torch.Type) {
	require.NoError(tb, rt.Run(tb.Context(), func(s *torch.Scope) error {
		x := n.Hidden(s, batch, precision)
		s.Backward(s.Sum(s.Mul(x, x)))
		return s.Err()
	}))
}
