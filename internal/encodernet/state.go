package encodernet

import (
	"fmt"
	"slices"

	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
)

// State is the state that AdamW needs to resume: weights and moments, by name. Each group of parameters that learns in
// one step has its own prefix.
type State []slot

// slot is one tensor of the state.
type slot struct {
	name   string
	p      *Parameter
	tensor *torch.Tensor // points to nil for moments before the first step
	moment bool
}

// Add adds the weights and moments of parameters, with a prefix to their names.
func (st State) Add(prefix string, params Parameters) State {
	for _, p := range params {
		st = append(st,
			slot{prefix + p.Name + ".value", p, &p.Value, false},
			slot{prefix + p.Name + ".first", p, &p.First, true},
			slot{prefix + p.Name + ".second", p, &p.Second, true})
	}
	return st
}

// Read copies the state to the host.
func (st State) Read(s *torch.Scope) ([]safetensors.Tensor, error) {
	var tensors []safetensors.Tensor
	for _, slot := range st {
		if *slot.tensor != nil {
			tensors = append(tensors, safetensors.Tensor{Name: slot.name, Shape: slot.p.Shape, Values: s.Floats(*slot.tensor)})
		}
	}
	return tensors, s.Err()
}

// Check returns an error, which begins with "the state", if f does not hold this state. Moments may be missing.
func (st State) Check(f *safetensors.File) error {
	known := 0
	for _, slot := range st {
		shape, ok := f.Shape(slot.name)
		switch {
		case !ok && slot.moment:
			continue
		case !ok:
			return fmt.Errorf("the state lacks %s: was it saved by another model, or with other towers learning?", slot.name)
		case !slices.Equal(shape, slot.p.Shape):
			return fmt.Errorf("the state's %s has shape %v, the model's %v", slot.name, shape, slot.p.Shape)
		case f.DType(slot.name) != "F32":
			return fmt.Errorf("the state's %s is of type %s", slot.name, f.DType(slot.name))
		}
		known++
	}
	if n := len(f.Names()); n != known {
		return fmt.Errorf("the state holds %d tensors, the model knows %d of them: "+
			"was it saved with other towers learning?", n, known)
	}
	return nil
}

// Restore restores the state from a file that Check has accepted, and zeroes the gradients.
func (st State) Restore(s *torch.Scope, f *safetensors.File) error {
	for _, slot := range st {
		if slot.moment {
			s.Free(*slot.tensor)
			*slot.tensor = nil
			continue
		}
		slot.p.changed(s)
		Parameters{slot.p}.ZeroGradients(s)
	}
	for _, slot := range st {
		_, values, err := f.Tensor(slot.name)
		if err != nil {
			if slot.moment {
				continue // a state from before the first step
			}
			return err
		}
		if slot.moment {
			slot.p.Moments(s)
		}
		s.NoGrad(func() { s.Copy(*slot.tensor, s.FromFloats(values, int64s(slot.p.Shape)...)) })
		if s.Err() != nil {
			return s.Err()
		}
	}
	return nil
}
