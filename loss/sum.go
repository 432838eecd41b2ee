package loss

import (
	"errors"
	"fmt"
)

// Term is one loss of a [Sum].
type Term struct {
	Weight float64 // any finite number; 0 switches the term off
	Loss   Loss
}

// Sum is the weighted sum of its terms. It is itself a [Loss], safe for concurrent use as long as its terms are.
type Sum []Term

// Validate returns an error that names the wrong term: a sum without terms, a term without a loss, a weight that is not
// finite, or what the Validate method of a term's loss says where it has one.
func (s Sum) Validate() error {
	if len(s) == 0 {
		return errors.New("loss: a sum without terms")
	}
	for i, t := range s {
		if err := t.validate(); err != nil {
			return fmt.Errorf("term %d of a loss.Sum: %w", i, err)
		}
	}
	return nil
}

func (t Term) validate() error {
	if t.Loss == nil {
		return errors.New("it has no Loss")
	}
	if !finite(t.Weight) {
		return fmt.Errorf("its Weight is %v", t.Weight)
	}
	if v, ok := t.Loss.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// Row implements [Loss].
func (s Sum) Row(r *Row, sim, grad []float32, scale float64) (float64, error) {
	return s.RowParts(r, sim, grad, scale, nil)
}

// RowParts implements [Parted]; parts may be nil.
func (s Sum) RowParts(r *Row, sim, grad []float32, scale float64, parts []float64) (float64, error) {
	if err := s.Validate(); err != nil {
		return 0, r.errorf("%w", err)
	}
	if err := r.Check(sim, grad); err != nil {
		return 0, err
	}
	if parts != nil && len(parts) != len(s) {
		return 0, r.errorf("%d parts of a sum of %d terms", len(parts), len(s))
	}
	var sum float64
	for i, t := range s {
		if t.Weight == 0 {
			continue
		}
		value, err := t.Loss.Row(r, sim, grad, scale*t.Weight)
		if err != nil {
			return 0, err
		}
		sum += t.Weight * value
		if parts != nil {
			parts[i] += t.Weight * value
		}
	}
	return sum, nil
}
