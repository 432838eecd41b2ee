//go:build libtorch

package encodernet

import (
	"context"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/internal/torch"
)

// shaped are small networks of every architecture.
var shaped = map[string]Config{
	"bert":       {TypeVocabSize: 2, MaxPositions: 512},
	"mpnet":      {MaxPositions: 514, FirstPosition: 2, RelativeBuckets: buckets},
	"distilbert": {MaxPositions: 512},
	"gte":        {Rotary: Rotary{160_000, 1}, Unbiased: Unbiased{Up: true}},
	"modernbert": {
		Rotary: Rotary{160_000, 1}, LocalRotary: Rotary{10_000, 1}, Window: 32, Local: []bool{false, true, true, false},
		Norm: UnbiasedLayerNorm, Unbiased: Unbiased{true, true, true},
	},
	"nomic_bert": {
		Rotary: Rotary{1000, 1}, Activation: "silu", TypeVocabSize: 2, Unbiased: Unbiased{true, true, true},
	},
	"qwen3": {
		Rotary: Rotary{10_000, 1}, Activation: "silu", KVHeads: 2, HeadSize: 64, Norm: RMSNorm, Causal: true,
		Unbiased: Unbiased{true, true, true},
	},
}

func shape(modelType string, hidden, layers, heads int) Config {
	c := shaped[modelType]
	c.ModelType, c.HiddenSize, c.Layers, c.Heads, c.IntermediateSize = modelType, hidden, layers, heads, 3*hidden
	c.VocabSize, c.LayerNormEps = 1000, 1e-6
	if c.Activation == "" {
		c.Activation = "gelu"
	}
	return c
}

// The estimate holds for what LibTorch really keeps: not less, and not twice as much.
func TestGraphBytesIsWhatAGraphOfEachArchitectureTakes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from /proc")
	}
	for modelType := range shaped {
		for name, precision := range map[string]torch.Type{"fp32": torch.Float32, "bf16": torch.BFloat16} {
			t.Run(modelType+"/"+name, func(t *testing.T) {
				c := shape(modelType, 256, 4, 4)
				rt, n := randomNetwork(t, c)
				const width = 128
				rows := int((48 << 20) / c.GraphBytes(1, width, precision, true))
				estimate := float64(c.GraphBytes(rows, width, precision, true)) / (1 << 20)
				b := randomBatch(c, rows, width).ForTraining()
				var graphs []torch.Tensor
				graph := func() {
					require.NoError(t, rt.Run(t.Context(), func(s *torch.Scope) error {
						graphs = append(graphs, s.Keep(n.Hidden(s, b, precision)))
						return s.Err()
					}))
				}
				graph()
				var grown []float64
				for range 7 {
					before := residentMB(t)
					graph()
					grown = append(grown, residentMB(t)-before)
				}
				slices.Sort(grown)
				took := grown[len(grown)/2] // the allocator takes much at once now and then
				t.Logf("a graph of %d tokens takes %.1f MiB, estimated %.1f MiB", rows*width, took, estimate)
				require.NoError(t, rt.Run(context.Background(), func(s *torch.Scope) error {
					s.Free(graphs...)
					return nil
				}))
				require.Greater(t, estimate, leastShare(precision)*took)
				require.Less(t, estimate, 1.3*took)
			})
		}
	}
}

// leastShare is the least share of what a graph takes that its estimate may be. A processor without units for bf16 keeps
// more than one that has them, which the estimate is of.
func leastShare(precision torch.Type) float64 {
	if precision == torch.BFloat16 {
		return .7
	}
	return .8
}

func residentMB(t *testing.T) float64 {
	t.Helper()
	runtime.GC()
	resident := rss.Resident()
	require.Positive(t, resident)
	return float64(resident) / (1 << 20)
}
