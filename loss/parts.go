package loss

import (
	"context"
	"fmt"
	"strings"

	"gonum.org/v1/gonum/blas/blas32"
)

// Parted is implemented by a Loss that is a sum of parts, for those who watch a run.
type Parted interface {
	Loss
	// PartNames names the parts, each name once.
	PartNames() []string
	// RowParts is Row that adds the value of each part, as it stands in the sum, to parts, one a name.
	RowParts(r *Row, sim, grad []float32, scale float64, parts []float64) (float64, error)
}

// PartedBatch is implemented by a Batch that is a sum of parts, for those who watch a run.
type PartedBatch interface {
	Batch
	// PartNames names the parts, each name once; none where the loss is no sum.
	PartNames() []string
	// StepParts is Step that adds the mean of each part over the rows, as it stands in the sum, to parts, one a name.
	StepParts(ctx context.Context, rows []Row, q, p, dq, dp blas32.General, parts []float64) (float64, error)
}

// Masker is implemented by a Loss that takes likely false negatives out of a row's negatives.
type Masker interface {
	// Masked appends to columns those that are no negatives of the row: its positive, Ignore, and likely false negatives.
	// A column may come twice. The row must have passed Row.Check; without a positive there is nothing to append.
	Masked(columns []int32, r *Row) ([]int32, error)
}

// PartNames implements [Parted]: the terms' types, with a number behind one that comes again.
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

// Masked implements [Masker] by its terms.
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
