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

// Paper returns the loss of Tamber et al. 2025 (arXiv 2502.19712), listwise distillation plus contrastive learning,
// with the constants of the authors' training script: ListwiseKL at temperatures of 0.3 for the teacher and 0.05 for
// the student, without the factor tau², plus 0.1 times InfoNCE at a temperature of 0.01 with a mask ratio of 0.6. It
// equals the authors' loss, which repeats a passage for each list that contains it, if
//   - a row's columns are the distinct passages of all lists of the step,
//   - Row.Count holds the number of the step's lists that contain each passage (distill.Options.CountDuplicates),
//   - Row.Positive is the passage with the highest teacher score (as in package distill for queries that are not
//     extractive),
//   - Row.Teacher is scaled to [0,1] from the 1st to the 99th percentile of all scores of the same query type and
//     retriever, and clipped (distill.PercentileMinMax, teacher.PercentileMinMax).
//
// A passage that is masked is masked wherever it occurs in the step, since it has one column.
func Paper() Sum {
	return Sum{
		{Weight: 1, Loss: ListwiseKL{TeacherTemperature: 0.3, StudentTemperature: 0.05}},
		{Weight: 0.1, Loss: InfoNCE{Temperature: 0.01, MaskRatio: 0.6}},
	}
}

// Validate returns an error for a sum without terms, and an error that names the term for a term without a loss, with a
// weight that is not finite, or with a loss whose Validate method returns an error.
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
		return errors.New("no Loss")
	}
	if !finite(t.Weight) {
		return fmt.Errorf("the Weight is %v, want a finite number", t.Weight)
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
		return 0, r.errorf("got %d parts for a sum of %d terms", len(parts), len(s))
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
