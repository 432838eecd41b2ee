//go:build libtorch

package encodernet

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/torch"
)

var small = Config{
	HiddenSize: 32, Layers: 2, Heads: 4, IntermediateSize: 64, VocabSize: 100, MaxPositions: 16, TypeVocabSize: 2,
	LayerNormEps: 1e-12, Activation: "gelu",
}

// In bfloat16 the passes of a step share the weights' copies: both graphs go back through them, and a step of AdamW and
// Set end them.
func TestPassesShareTheCastsOfOneStep(t *testing.T) {
	first, second := randomBatch(small, 2, 8).ForTraining(), randomBatch(small, 5, 4).ForTraining()
	var apart, together []float32
	for _, sum := range []struct {
		to    *[]float32
		share bool
	}{{&apart, false}, {&together, true}} {
		rt, n := randomNetwork(t, small)
		loss := func(s *torch.Scope, b Batch) torch.Tensor {
			x := n.Hidden(s, b, torch.BFloat16)
			return s.Sum(s.Mul(x, s.Mul(x, x)))
		}
		up := n.layers[0].up.weight
		require.NoError(t, rt.Run(t.Context(), func(s *torch.Scope) error {
			if sum.share {
				s.NoGrad(func() { loss(s, first) })
				require.False(t, up.cast.recorded)
				one, two := loss(s, first), loss(s, second)
				require.True(t, up.cast.recorded)
				s.Backward(one)
				s.Backward(two)
			} else {
				for _, b := range []Batch{first, second} {
					s.Backward(loss(s, b))
					for _, p := range n.Params {
						p.changed(s)
					}
				}
			}
			*sum.to = s.Floats(s.Grad(up.Value))
			before := s.Floats(loss(s, first))
			n.Params.Step(s, 1, AdamW{LR: .1, Beta1: .9, Beta2: .999, Eps: 1e-8, Scale: 1})
			require.NotEqual(t, before, s.Floats(loss(s, first)))
			before = s.Floats(loss(s, first))
			require.NoError(t, up.Set(s, make([]float32, up.Size())))
			require.NotEqual(t, before, s.Floats(loss(s, first)))
			return s.Err()
		}))
	}
	require.Equal(t, apart, together)
}

// On CPUs training computes attention in float32: it may be no farther from float32 than bfloat16 all through.
func TestAttentionForTrainingIsAsExactAsBFloat16(t *testing.T) {
	rt, n := randomNetwork(t, small)
	b := randomBatch(small, 3, 8)
	require.NoError(t, rt.Run(t.Context(), func(s *torch.Scope) error {
		s.NoGrad(func() {
			hidden := func(b Batch, precision torch.Type) []float32 { return s.Floats(n.Hidden(s, b, precision)) }
			exact := hidden(b, torch.Float32)
			require.Equal(t, exact, hidden(b.ForTraining(), torch.Float32))
			require.InDeltaSlice(t, exact, hidden(b, torch.BFloat16), .1)
			require.InDeltaSlice(t, exact, hidden(b.ForTraining(), torch.BFloat16), .1)
		})
		return s.Err()
	}))
}
