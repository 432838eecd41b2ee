package bert

import (
	"github.com/retort-ir/retort/internal/bertnet"
	"github.com/retort-ir/retort/internal/torch"
)

// embed returns the L2-normalised embeddings [rows x hidden] of a batch.
func embed(s *torch.Scope, n *bertnet.Network, b bertnet.Batch, pooling Pooling, precision torch.Type) torch.Tensor {
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		pooled := pool(s, n, b, pooling, precision)
		// The floor is that of torch.nn.functional.normalize.
		return s.Div(pooled, s.ClampMin(s.Norm(pooled, 1), 1e-12))
	})
}

func pool(s *torch.Scope, n *bertnet.Network, b bertnet.Batch, pooling Pooling, precision torch.Type) torch.Tensor {
	if pooling == CLS {
		return n.FirstHidden(s, b, precision)
	}
	x := n.Hidden(s, b, precision)
	weights := make([]float32, b.Rows*b.Width)
	for i, length := range b.Lengths {
		for j := range length {
			weights[i*b.Width+j] = 1 / float32(length)
		}
	}
	return s.SumDim(s.Mul(x, s.FromFloats(weights, int64(b.Rows), int64(b.Width), 1)), 1)
}
