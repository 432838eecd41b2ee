package bertnet

import (
	"fmt"

	"github.com/retort-ir/retort/internal/torch"
)

// SetGrad puts another gradient in the place of what Backward has added up.
func (p *Parameter) SetGrad(s *torch.Scope, values []float32) error {
	if len(values) != p.Size() {
		return fmt.Errorf("%d gradients for %s of shape %v", len(values), p.Name, p.Shape)
	}
	given := s.FromFloats(values, int64s(p.Shape)...)
	if g := s.Grad(p.Value); g != nil {
		s.NoGrad(func() { s.Copy(g, given) })
		return s.Err()
	}
	// LibTorch makes a gradient where Backward finds none: that of sum(w * given) with respect to w is given.
	s.Backward(s.Sum(s.Mul(p.Value, given)))
	return s.Err()
}
