package encodernet

import (
	"math"

	"github.com/retort-ir/retort/internal/torch"
)

// GradNorm is the L2 norm over the gradients of all parameters. Parameters without a gradient add nothing.
func (ps Parameters) GradNorm(s *torch.Scope) float64 {
	var norms []torch.Tensor
	for _, p := range ps {
		if g := s.Grad(p.Value); g != nil {
			norms = append(norms, s.NormAll(g))
		}
	}
	if len(norms) == 0 || s.Err() != nil {
		return 0
	}
	var sum float64
	for _, v := range s.Floats(s.Stack(norms...)) {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// AdamW holds the settings of one step of AdamW.
type AdamW struct {
	LR          float64
	WeightDecay float64 // decoupled: w -= LR * WeightDecay * w
	Beta1       float64 // of the first moment, in [0,1)
	Beta2       float64 // of the second moment, in [0,1)
	Eps         float64 // > 0
	Scale       float64 // of the gradients; 1 leaves them as they are
}

// Step is AdamW's step number t, counted from 1; it zeroes the gradients.
//
//	m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g²
//	w = w (1 - lr decay) - lr (m / (1-beta1^t)) / (sqrt(v / (1-beta2^t)) + eps)
//
// Reference: Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2.
func (ps Parameters) Step(s *torch.Scope, t int, u AdamW) {
	correct1 := 1 - math.Pow(u.Beta1, float64(t))
	correct2 := 1 - math.Pow(u.Beta2, float64(t))
	// The bias corrections are folded into the rate and eps, which are numbers, not tensors.
	a := torch.AdamW{
		Scale: u.Scale, Weight1: 1 - u.Beta1, Weight2: 1 - u.Beta2, Keep: 1 - u.LR*u.WeightDecay,
		Rate: u.LR * math.Sqrt(correct2) / correct1, Eps: u.Eps * math.Sqrt(correct2),
	}
	s.NoGrad(func() {
		for _, p := range ps {
			s.Sub(func(s *torch.Scope) torch.Tensor {
				p.Moments(s)
				g := s.Grad(p.Value)
				if g == nil {
					g = s.Zeros(torch.Float32, int64s(p.Shape)...)
				}
				p.changed(s)
				s.AdamW(a, p.Value, p.First, p.Second, g, int64(p.Size()))
				return nil
			})
		}
	})
}

// Moments makes AdamW's moments on first use.
func (p *Parameter) Moments(s *torch.Scope) {
	if p.First != nil {
		return
	}
	shape := int64s(p.Shape)
	first, second := s.Zeros(torch.Float32, shape...), s.Zeros(torch.Float32, shape...)
	if s.Err() != nil {
		return
	}
	p.First, p.Second = s.Keep(first), s.Keep(second)
}

// ZeroGradients zeroes the gradients.
func (ps Parameters) ZeroGradients(s *torch.Scope) {
	for _, p := range ps {
		if g := s.Grad(p.Value); g != nil {
			s.ZeroInPlace(g)
		}
	}
}
