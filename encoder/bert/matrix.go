package bert

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"
)

func newMatrix(rows, cols int) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: make([]float32, rows*cols)}
}

// packed returns a matrix's values without gaps between its rows, after a check of its size.
func packed(m blas32.General, rows, cols int) ([]float32, error) {
	if m.Rows != rows || m.Cols != cols {
		return nil, fmt.Errorf("bert: a gradient of [%d x %d] for embeddings of [%d x %d]", m.Rows, m.Cols, rows, cols)
	}
	if m.Stride < cols || len(m.Data) < (rows-1)*m.Stride+cols {
		return nil, fmt.Errorf("bert: a gradient of [%d x %d] with stride %d in %d values", rows, cols, m.Stride, len(m.Data))
	}
	if m.Stride == cols {
		return m.Data[:rows*cols], nil
	}
	values := make([]float32, 0, rows*cols)
	for i := range rows {
		values = append(values, m.Data[i*m.Stride:i*m.Stride+cols]...)
	}
	return values, nil
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func hypot(a, b float64) float64 { return math.Sqrt(a*a + b*b) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
