package torch

import "github.com/retort-ir/retort/internal/torch/raw"

// Zeros is a tensor of zeros on the runtime's device.
func (s *Scope) Zeros(kind Type, shape ...int64) Tensor {
	if !s.ready("zeros") {
		return nil
	}
	return s.own("zeros", raw.Zeros(shape, int(kind), s.rt.device))
}

// As converts to another element type. It shares a tensor that has the type already.
func (s *Scope) As(x Tensor, kind Type) Tensor {
	if !s.ready("as", x) {
		return nil
	}
	return s.own("as", raw.ToType(x, int(kind)))
}

// Embedding looks up rows of weight [n x d] by indices of any shape.
func (s *Scope) Embedding(weight, indices Tensor) Tensor {
	if !s.ready("embedding", weight, indices) {
		return nil
	}
	return s.own("embedding", raw.Embedding(weight, indices, false))
}

// ParameterRows is Embedding of a parameter (see RequireGrad). On the CPU its backward pass touches the gradients of
// the selected rows only, while the backward pass of Embedding touches all rows, which dominates the time of a small
// batch.
func (s *Scope) ParameterRows(parameter, indices Tensor) Tensor {
	sparse := s.OnCPU() && s.Recording()
	if sparse {
		s.MakeGrad(parameter)
	}
	if !s.ready("embedding", parameter, indices) {
		return nil
	}
	return s.own("embedding", raw.Embedding(parameter, indices, sparse))
}

// LayerNorm normalises over the last dimension, of the given width; a nil bias is none.
func (s *Scope) LayerNorm(x, weight, bias Tensor, width int64, eps float64) Tensor {
	if !s.ready("layer norm", x, weight) {
		return nil
	}
	return s.own("layer norm", raw.LayerNorm(x, []int64{width}, weight, bias, eps))
}

// Linear is x weightᵀ + bias; a nil bias is none.
func (s *Scope) Linear(x, weight, bias Tensor) Tensor {
	if !s.ready("linear", x, weight) {
		return nil
	}
	return s.own("linear", raw.Linear(x, weight, bias))
}

// Gelu is the exact Gaussian error linear unit; GeluTanh its approximation by tanh.
func (s *Scope) Gelu(x Tensor) Tensor { return s.gelu(x, false) }

// GeluTanh is the approximation of Gelu by tanh.
func (s *Scope) GeluTanh(x Tensor) Tensor { return s.gelu(x, true) }

func (s *Scope) gelu(x Tensor, tanh bool) Tensor {
	if !s.ready("gelu", x) {
		return nil
	}
	return s.own("gelu", raw.Gelu(x, tanh))
}

// Relu is max(x, 0).
func (s *Scope) Relu(x Tensor) Tensor {
	if !s.ready("relu", x) {
		return nil
	}
	return s.own("relu", raw.Relu(x))
}

// Tanh is the element-wise hyperbolic tangent.
func (s *Scope) Tanh(x Tensor) Tensor {
	if !s.ready("tanh", x) {
		return nil
	}
	return s.own("tanh", raw.Tanh(x))
}

// Attention is softmax(q kᵀ * scale + mask) v over [batch x heads x tokens x width]; the mask is broadcast.
func (s *Scope) Attention(q, k, v, mask Tensor, scale float64) Tensor {
	if !s.ready("attention", q, k, v, mask) {
		return nil
	}
	return s.own("attention", raw.Attention(q, k, v, mask, scale))
}

// Reshape gives x another shape; one size may be -1.
func (s *Scope) Reshape(x Tensor, shape ...int64) Tensor {
	if !s.ready("reshape", x) {
		return nil
	}
	return s.own("reshape", raw.Reshape(x, shape))
}

// Transpose swaps two dimensions.
func (s *Scope) Transpose(x Tensor, a, b int64) Tensor {
	if !s.ready("transpose", x) {
		return nil
	}
	return s.own("transpose", raw.Transpose(x, a, b))
}

// Select takes one index of a dimension and removes the dimension.
func (s *Scope) Select(x Tensor, dim, index int64) Tensor {
	if !s.ready("select", x) {
		return nil
	}
	return s.own("select", raw.Select(x, dim, index))
}

// Narrow takes a range of a dimension.
func (s *Scope) Narrow(x Tensor, dim, start, length int64) Tensor {
	if !s.ready("narrow", x) {
		return nil
	}
	return s.own("narrow", raw.Narrow(x, dim, start, length))
}

// Add is a + b with broadcasting.
func (s *Scope) Add(a, b Tensor) Tensor {
	if !s.ready("add", a, b) {
		return nil
	}
	return s.own("add", raw.Add(a, b))
}

// Mul is the element-wise product with broadcasting.
func (s *Scope) Mul(a, b Tensor) Tensor {
	if !s.ready("mul", a, b) {
		return nil
	}
	return s.own("mul", raw.Mul(a, b))
}

// Div is the element-wise quotient with broadcasting.
func (s *Scope) Div(a, b Tensor) Tensor {
	if !s.ready("div", a, b) {
		return nil
	}
	return s.own("div", raw.Div(a, b))
}

// MatMul is the matrix product.
func (s *Scope) MatMul(a, b Tensor) Tensor {
	if !s.ready("matmul", a, b) {
		return nil
	}
	return s.own("matmul", raw.Matmul(a, b))
}

// Scale is v x.
func (s *Scope) Scale(x Tensor, v float64) Tensor {
	if !s.ready("scale", x) {
		return nil
	}
	return s.own("scale", raw.MulScalar(x, v))
}

// ClampMin is max(x, v).
func (s *Scope) ClampMin(x Tensor, v float64) Tensor {
	if !s.ready("clamp", x) {
		return nil
	}
	return s.own("clamp", raw.ClampMin(x, v))
}

// Sum is the sum of all elements, a scalar.
func (s *Scope) Sum(x Tensor) Tensor {
	if !s.ready("sum", x) {
		return nil
	}
	return s.own("sum", raw.Sum(x))
}

// SumDim sums along a dimension and removes the dimension.
func (s *Scope) SumDim(x Tensor, dim int64) Tensor {
	if !s.ready("sum", x) {
		return nil
	}
	return s.own("sum", raw.SumDim(x, dim, false))
}

// Norm is the L2 norm along a dimension, which keeps size 1.
func (s *Scope) Norm(x Tensor, dim int64) Tensor {
	if !s.ready("norm", x) {
		return nil
	}
	return s.own("norm", raw.Norm(x, dim, true))
}

// NormAll is the L2 norm of all elements, a scalar.
func (s *Scope) NormAll(x Tensor) Tensor {
	if !s.ready("norm", x) {
		return nil
	}
	return s.own("norm", raw.NormAll(x))
}

// Stack joins tensors of one shape along a new first dimension.
func (s *Scope) Stack(ts ...Tensor) Tensor {
	if !s.ready("stack", ts...) {
		return nil
	}
	return s.own("stack", raw.Stack(ts))
}

// ZeroInPlace sets every element to 0.
func (s *Scope) ZeroInPlace(x Tensor) {
	if s.ready("zero", x) {
		s.own("zero", raw.Zero_(x))
	}
}

// ScaleInPlace is x *= v.
func (s *Scope) ScaleInPlace(x Tensor, v float64) {
	if s.ready("scale", x) {
		s.own("scale", raw.MulScalar_(x, v))
	}
}

// AddScalarInPlace is x += v.
func (s *Scope) AddScalarInPlace(x Tensor, v float64) {
	if s.ready("add", x) {
		s.own("add", raw.AddScalar_(x, v))
	}
}

// AddInPlace is x += y with y broadcast.
func (s *Scope) AddInPlace(x, y Tensor) {
	if s.ready("add", x, y) {
		s.own("add", raw.Add_(x, y))
	}
}

// MulInPlace is x *= y with y broadcast.
func (s *Scope) MulInPlace(x, y Tensor) {
	if s.ready("mul", x, y) {
		s.own("mul", raw.Mul_(x, y))
	}
}

// ExpInPlace is x = exp(x).
func (s *Scope) ExpInPlace(x Tensor) {
	if s.ready("exp", x) {
		s.own("exp", raw.Exp_(x))
	}
}

// AddMatMulInPlace is x += a b.
func (s *Scope) AddMatMulInPlace(x, a, b Tensor) {
	if s.ready("addmm", x, a, b) {
		s.own("addmm", raw.Addmm_(x, a, b))
	}
}

// FillAt writes v over the elements of x at the given indices [k] of its flattened form. x must be contiguous.
func (s *Scope) FillAt(x, indices Tensor, v float64) {
	if flat := s.Reshape(x, -1); s.ready("scatter", flat, indices) {
		s.own("scatter", raw.ScatterValue_(flat, 0, indices, v))
	}
}

// AddAt adds values [k] to the elements of x at the given indices [k] of its flattened form. The order of the sums is
// undefined where an index repeats. x must be contiguous.
func (s *Scope) AddAt(x, indices, values Tensor) {
	if flat := s.Reshape(x, -1); s.ready("scatter add", flat, indices, values) {
		s.own("scatter add", raw.ScatterAdd_(flat, 0, indices, values))
	}
}

// LerpInPlace is x += weight * (end - x).
func (s *Scope) LerpInPlace(x, end Tensor, weight float64) {
	if s.ready("lerp", x, end) {
		s.own("lerp", raw.Lerp_(x, end, weight))
	}
}

// AddDivInPlace is x += a / b.
func (s *Scope) AddDivInPlace(x, a, b Tensor) {
	if s.ready("addcdiv", x, a, b) {
		s.own("addcdiv", raw.Addcdiv_(x, a, b))
	}
}

// Cat joins tensors along an existing dimension.
func (s *Scope) Cat(dim int64, ts ...Tensor) Tensor {
	if !s.ready("cat", ts...) {
		return nil
	}
	return s.own("cat", raw.Cat(ts, dim))
}

// Expand repeats dimensions of size 1 up to the given shape without copying; -1 leaves a size as it is.
func (s *Scope) Expand(x Tensor, shape ...int64) Tensor {
	if !s.ready("expand", x) {
		return nil
	}
	return s.own("expand", raw.Expand(x, shape))
}

// IndexSelect takes the given indices of a dimension, in their order.
func (s *Scope) IndexSelect(x Tensor, dim int64, indices Tensor) Tensor {
	if !s.ready("index select", x, indices) {
		return nil
	}
	return s.own("index select", raw.IndexSelect(x, dim, indices))
}

// Gather takes one element along a dimension for each element of indices, which has as many dimensions as x.
func (s *Scope) Gather(x Tensor, dim int64, indices Tensor) Tensor {
	if !s.ready("gather", x, indices) {
		return nil
	}
	return s.own("gather", raw.Gather(x, dim, indices))
}

// Roll rotates elements along a dimension by shift places.
func (s *Scope) Roll(x Tensor, dim, shift int64) Tensor {
	if !s.ready("roll", x) {
		return nil
	}
	return s.own("roll", raw.Roll(x, dim, shift))
}

// MeanDim is the mean along a dimension, which keeps size 1.
func (s *Scope) MeanDim(x Tensor, dim int64) Tensor {
	if !s.ready("mean", x) {
		return nil
	}
	return s.own("mean", raw.MeanDim(x, dim, true))
}

// Softmax is exp(x) / sum of exp(x) along a dimension.
func (s *Scope) Softmax(x Tensor, dim int64) Tensor {
	if !s.ready("softmax", x) {
		return nil
	}
	return s.own("softmax", raw.Softmax(x, dim))
}

// LogSumExp is the logarithm of the sum of exp(x) along a dimension, which keeps size 1.
func (s *Scope) LogSumExp(x Tensor, dim int64) Tensor {
	if !s.ready("log sum exp", x) {
		return nil
	}
	return s.own("log sum exp", raw.LogSumExp(x, dim, true))
}

// MaxDim is the largest element along a dimension, which keeps size 1.
func (s *Scope) MaxDim(x Tensor, dim int64) Tensor {
	if !s.ready("max", x) {
		return nil
	}
	return s.own("max", raw.Amax(x, dim, true))
}

// Silu is x / (1 + exp(-x)).
func (s *Scope) Silu(x Tensor) Tensor {
	if !s.ready("silu", x) {
		return nil
	}
	return s.own("silu", raw.Silu(x))
}

// Rsqrt is the element-wise 1 / square root.
func (s *Scope) Rsqrt(x Tensor) Tensor {
	if !s.ready("rsqrt", x) {
		return nil
	}
	return s.own("rsqrt", raw.Rsqrt(x))
}

// Sqrt is the element-wise square root.
func (s *Scope) Sqrt(x Tensor) Tensor {
	if !s.ready("sqrt", x) {
		return nil
	}
	return s.own("sqrt", raw.Sqrt(x))
}
