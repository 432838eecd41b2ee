package encodernet

import (
	"fmt"

	"github.com/retort-ir/retort/internal/torch"
)

// SetGrad puts another gradient in the place of what Backward has added up.
func (p *Parameter) SetGrad(s *torch.Scope, values []float32) error {
	if len(values) != p.Size() {
		return fmt.Errorf("%d gradients for %s of shape %v", len(values), p.Name, p.Shape)
	}
	s.MakeGrad(p.Value)
	s.NoGrad(func() { s.Copy(s.Grad(p.Value), s.FromFloats(values, int64s(p.Shape)...)) })
	return s.Err()
}
