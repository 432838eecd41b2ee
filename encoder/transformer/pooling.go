package transformer

import (
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/torch"
)

// embed returns the embeddings [rows x dim] of a batch, pooled, truncated and normalised as the folder f specifies.
func embed(s *torch.Scope, n *encodernet.Network, b encodernet.Batch, f *Folder, tower *Tower,
	precision torch.Type,
) torch.Tensor {
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		x := pool(s, n, b, tower.Pooling, precision)
		if tower.Normalize && f.similarity == dot {
			x = normalize(s, x) // whole vectors, of which some values are then dropped
		}
		if dim := f.Dim(); dim < tower.config.HiddenSize {
			x = s.Narrow(x, 1, 0, int64(dim))
		}
		if f.similarity == dot {
			return x
		}
		return normalize(s, x)
	})
}

// normalize divides rows by their L2 norms. The floor is the one in torch.nn.functional.normalize.
func normalize(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Div(x, s.ClampMin(s.Norm(x, 1), 1e-12))
}

func pool(s *torch.Scope, n *encodernet.Network, b encodernet.Batch, pooling Pooling, precision torch.Type) torch.Tensor {
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
