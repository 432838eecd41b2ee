package loss

import (
	"context"
	"fmt"
	"strings"

	"gonum.org/v1/gonum/blas/blas32"
)

// Parted is implemented by a Loss that is a sum of parts, so that a trainer can report each part.
type Parted interface {
	Loss
	// PartNames returns the unique names of the parts.
	PartNames() []string
	// RowParts does the work of Row and adds the weighted value of each part to parts, in the order of PartNames.
	RowParts(r *Row, sim, grad []float32, scale float64, parts []float64) (float64, error)
}

// PartedBatch is implemented by a Batch that is a sum of parts, so that a trainer can report each part.
type PartedBatch interface {
	Batch
	// PartNames returns the unique names of the parts, or none if the loss is not a sum.
	PartNames() []string
	// StepParts does the work of Step and adds the weighted mean of each part over the rows to parts, in the order of
	// PartNames.
	StepParts(ctx context.Context, rows []Row, q, p, dq, dp blas32.General, parts []float64) (float64, error)
}

// Masker is implemented by a Loss that excludes likely false negatives from a row's negatives.
type Masker interface {
	// Masked appends to columns the columns that are not negatives of the row: its positive, Ignore, and likely false
	// negatives. A column may occur twice. The row must have passed Row.Check. For a row without a positive it appends
	// nothing.
	Masked(columns []int32, r *Row) ([]int32, error)
}

// PartNames implements [Parted]. The names are the types of the terms, with a number appended to a repeated type.
func (s Sum) PartNames() []string {
	names := make([]string, len(s))
	times := map[string]int{}
	for i, t := range s {
		name := fmt.Sprintf("%T", t.Loss)
		name = name[strings.LastIndexByte(name, '.')+1:]
		times[name]++
		if n := times[name]; n > 1 {
			name += fmt.Sprint(n)
		}
		names[i] = name
	}
	return names
}

// Masked implements [Masker]: it appends the columns of all terms that are a Masker.
func (s Sum) Masked(columns []int32, r *Row) ([]int32, error) {
	var err error
	for _, t := range s {
		m, ok := t.Loss.(Masker)
		if !ok || t.Weight == 0 {
			continue
		}
		if columns, err = m.Masked(columns, r); err != nil {
			return columns, err
		}
	}
	return columns, nil
}
