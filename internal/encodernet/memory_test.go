//go:build libtorch

package encodernet

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/rss/rsstest"
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

// The estimate holds for what LibTorch really keeps: not less, and, with the holes that the allocator leaves, not twice
// as much.
func TestGraphBytesIsWhatAGraphOfEachArchitectureTakes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from /proc")
	}
	exact := rsstest.WithoutHoles(t)
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
				took := rsstest.Growth(t, 5, graph)
				t.Logf("a graph of %d tokens takes %.1f MiB, estimated %.1f MiB", rows*width, took, estimate)
				require.NoError(t, rt.Run(context.Background(), func(s *torch.Scope) error {
					s.Free(graphs...)
					return nil
				}))
				if exact {
					require.Greater(t, estimate, .8*took)
				} else {
					require.Less(t, estimate, 1.3*took)
				}
			})
		}
	}
}
