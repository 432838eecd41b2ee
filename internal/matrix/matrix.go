// Package matrix makes matrices of type blas32.General and reads their rows. Matrices are row-major; rows begin Stride
// elements apart.
package matrix

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"
)

// New returns a matrix of zeros [rows x cols] without gaps between its rows.
func New(rows, cols int) blas32.General {
	// BLAS refuses a stride of 0.
	return blas32.General{Rows: rows, Cols: cols, Stride: max(cols, 1), Data: make([]float32, rows*cols)}
}

// Row returns row i, sharing m's memory.
func Row(m blas32.General, i int) []float32 { return m.Data[i*m.Stride : i*m.Stride+m.Cols] }

// Rows returns rows [start, end), at least one, sharing m's memory.
func Rows(m blas32.General, start, end int) blas32.General {
	m.Rows = end - start
	m.Data = m.Data[start*m.Stride : (end-1)*m.Stride+m.Cols]
	return m
}

// Dot returns the inner product of two rows of one length, summed in float64 from the first element to the last.
func Dot(a, b []float32) float64 {
	var sum float64
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}

// Leading returns a copy of the first width elements of each row, L2-normalised, and their norms before. A row whose
// leading elements are all 0 stays 0.
func Leading(m blas32.General, width int) (blas32.General, []float64) {
	cut, norms := New(m.Rows, width), make([]float64, m.Rows)
	for i := range norms {
		from, to := Row(m, i)[:width], Row(cut, i)
		norms[i] = math.Sqrt(Dot(from, from))
		if norms[i] == 0 {
			continue
		}
		scale := 1 / norms[i]
		for k, x := range from {
			to[k] = float32(float64(x) * scale)
		}
	}
	return cut, norms
}

// Check returns an error if m is not [rows x cols] or its data are too short.
func Check(m blas32.General, rows, cols int) error {
	if m.Rows != rows || m.Cols != cols {
		return fmt.Errorf("it is [%d x %d], want [%d x %d]", m.Rows, m.Cols, rows, cols)
	}
	if rows > 0 && (m.Stride < cols || len(m.Data) < (rows-1)*m.Stride+cols) {
		return fmt.Errorf("it is [%d x %d] with stride %d in %d values, too few", m.Rows, m.Cols, m.Stride, len(m.Data))
	}
	return nil
}
