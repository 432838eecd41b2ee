package mine

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
)

// unitTolerance is the largest deviation from 1 of the norm of a vector that was normalised in single or half
// precision.
const unitTolerance = 1e-3

// NormalizeRows divides every row by its L2 norm, in place, and returns the number of rows that were not normalised.
// Rows of norm 1 do not change by a single bit. A zero row or a row with a value that is not finite is an error that
// names the row, counted from 0.
func NormalizeRows(m blas32.General) (changed int, err error) {
	for i := range m.Rows {
		row := matrix.Row(m, i)
		sum := 0.0
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		length := math.Sqrt(sum)
		switch {
		case math.IsNaN(length) || math.IsInf(length, 0):
			return changed, fmt.Errorf("the vector in row %d has a value that is not finite", i)
		case length == 0:
			return changed, fmt.Errorf("the vector in row %d is zero and cannot be normalised", i)
		case math.Abs(length-1) <= unitTolerance:
			continue
		}
		for j, v := range row {
			row[j] = float32(float64(v) / length)
		}
		changed++
	}
	return changed, nil
}
