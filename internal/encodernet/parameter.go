package encodernet

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/internal/torch"
)

// Parameter is one weight. First and Second are AdamW's moments, nil before the first step.
type Parameter struct {
	Name                 string
	Shape                []int
	Value, First, Second torch.Tensor

	cast cast
}

// cast is a parameter in the type of products. All passes between two changes of the weights share it: LibTorch's node
// of a conversion keeps nothing, so that the backward pass of each graph can go through it.
type cast struct {
	tensor   torch.Tensor // nil: none
	kind     torch.Type
	recorded bool // by autograd
}

// as returns the parameter in a type, for the scope's operations.
func (p *Parameter) as(s *torch.Scope, kind torch.Type) torch.Tensor {
	if kind == torch.Float32 {
		return p.Value
	}
	recorded := s.Recording()
	if p.cast.tensor != nil && p.cast.kind == kind && (p.cast.recorded || !recorded) {
		return p.cast.tensor
	}
	p.changed(s)
	t := s.As(p.Value, kind)
	if t == nil {
		return nil
	}
	p.cast = cast{tensor: s.Keep(t), kind: kind, recorded: recorded}
	return t
}

// changed must be called when the weights change.
func (p *Parameter) changed(s *torch.Scope) {
	s.Free(p.cast.tensor)
	p.cast = cast{}
}

// Parameters are weights that learn together.
type Parameters []*Parameter

// ReadFunc returns the values of the parameter of that name and shape, row-major.
type ReadFunc func(name string, shape []int) ([]float32, error)

// NewParameters puts weights on the runtime's device.
func NewParameters(ctx context.Context, rt *torch.Runtime, shapes []Shape, read ReadFunc) (Parameters, error) {
	var params Parameters
	err := rt.Run(ctx, func(s *torch.Scope) error {
		for _, shape := range shapes {
			values, err := read(shape.Name, shape.Dims)
			if err != nil {
				return err
			}
			t := s.FromFloats(values, int64s(shape.Dims)...)
			if t == nil {
				return fmt.Errorf("%s: %w", shape.Name, s.Err())
			}
			params = append(params, &Parameter{Name: shape.Name, Shape: shape.Dims, Value: t})
		}
		for _, p := range params {
			s.RequireGrad(p.Value)
		}
		if s.Err() != nil {
			return s.Err()
		}
		for _, p := range params {
			s.Keep(p.Value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return params, nil
}

// Free frees all tensors.
func (ps Parameters) Free(s *torch.Scope) {
	for _, p := range ps {
		p.changed(s)
		s.Free(p.Value, p.First, p.Second)
		p.Value, p.First, p.Second = nil, nil, nil
	}
}

// Set overwrites the weights.
func (p *Parameter) Set(s *torch.Scope, values []float32) error {
	if len(values) != p.Size() {
		return fmt.Errorf("%d values for %s of shape %v", len(values), p.Name, p.Shape)
	}
	p.changed(s)
	s.NoGrad(func() { s.Copy(p.Value, s.FromFloats(values, int64s(p.Shape)...)) })
	return s.Err()
}

// Size returns how many values the parameter has.
func (p *Parameter) Size() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

func int64s(shape []int) []int64 {
	out := make([]int64, len(shape))
	for i, d := range shape {
		out[i] = int64(d)
	}
	return out
}
