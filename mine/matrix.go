package mine

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"
)

func newMatrix(rows, cols int) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: make([]float32, rows*cols)}
}

func rowOf(m blas32.General, i int) []float32 { return m.Data[i*m.Stride : i*m.Stride+m.Cols] }

// checkMatrix says whether the matrix is well formed and finite, and returns its largest absolute value.
func checkMatrix(name string, m blas32.General) (largest float32, err error) {
	if m.Rows < 0 || m.Cols < 0 || m.Rows > 0 && (m.Stride < m.Cols || len(m.Data) < (m.Rows-1)*m.Stride+m.Cols) {
		return 0, fmt.Errorf("%s: %d x %d with stride %d do not fit in %d numbers", name, m.Rows, m.Cols, m.Stride, len(m.Data))
	}
	for i := range m.Rows {
		for j, v := range rowOf(m, i) {
			if v != v || math.IsInf(float64(v), 0) {
				return 0, fmt.Errorf("%s: vector %d holds %v at %d", name, i, v, j)
			}
			largest = max(largest, v, -v)
		}
	}
	return largest, nil
}
