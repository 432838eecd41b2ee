package mine

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
)

// checkMatrix returns an error unless the matrix is well formed and finite, and returns its largest absolute value.
func checkMatrix(name string, m blas32.General) (largest float32, err error) {
	if m.Rows < 0 || m.Cols < 0 || m.Rows > 0 && (m.Stride < m.Cols || len(m.Data) < (m.Rows-1)*m.Stride+m.Cols) {
		return 0, fmt.Errorf("%s: %d x %d with stride %d do not fit in %d numbers", name, m.Rows, m.Cols, m.Stride,
			len(m.Data))
	}
	var bits uint32
	for i := range m.Rows {
		bits = max(bits, largestBits(matrix.Row(m, i)))
	}
	if bits >= math.Float32bits(float32(math.Inf(1))) {
		return 0, fmt.Errorf("%s: %s", name, firstNotFinite(m))
	}
	return math.Float32frombits(bits), nil
}

// largestBits returns the bits of the largest absolute value. Without the sign, floats are ordered as their bits are,
// with infinities and NaN above all numbers.
func largestBits(row []float32) uint32 {
	const sign = 1 << 31
	var a, b, c, d uint32 // four independent chains, for instruction-level parallelism
	for len(row) >= 4 {
		a = max(a, math.Float32bits(row[0])&^sign)
		b = max(b, math.Float32bits(row[1])&^sign)
		c = max(c, math.Float32bits(row[2])&^sign)
		d = max(d, math.Float32bits(row[3])&^sign)
		row = row[4:]
	}
	for _, v := range row {
		a = max(a, math.Float32bits(v)&^sign)
	}
	return max(a, b, c, d)
}

func firstNotFinite(m blas32.General) string {
	for i := range m.Rows {
		for j, v := range matrix.Row(m, i) {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Sprintf("vector %d holds %v at %d", i, v, j)
			}
		}
	}
	return "finite"
}
