package bert

import (
	"github.com/retort-ir/retort/internal/bertnet"
	"github.com/retort-ir/retort/internal/torch"
)

// embed returns the L2-normalised embeddings [rows x hidden] of the last layer's hidden states [rows x width x hidden].
func embed(s *torch.Scope, hidden torch.Tensor, b bertnet.Batch, pooling Pooling) torch.Tensor {
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		pooled := pool(s, hidden, b, pooling)
		// The floor is that of torch.nn.functional.normalize.
		return s.Div(pooled, s.ClampMin(s.Norm(pooled, 1), 1e-12))
	})
}

func pool(s *torch.Scope, x torch.Tensor, b bertnet.Batch, pooling Pooling) torch.Tensor {
	if pooling == CLS {
		return s.Select(x, 1, 0)
	}
	weights := make([]float32, b.Rows*b.Width)
	for i, length := range b.Lengths {
		for j := range length {
			weights[i*b.Width+j] = 1 / float32(length)
		}
	}
	return s.SumDim(s.Mul(x, s.FromFloats(weights, int64(b.Rows), int64(b.Width), 1)), 1)
}
