package mine

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/half"
	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/matrix"
)

// halves are vectors of float16, which are widened block by block.
type halves struct {
	d       int
	numbers []uint16 // [m x d]
}

func newHalves(vectors blas32.General) (*halves, error) {
	c := &halves{d: vectors.Cols, numbers: make([]uint16, 0, vectors.Rows*vectors.Cols)}
	for i := range vectors.Rows {
		for _, v := range matrix.Row(vectors, i) {
			h := half.FromFloat32(v)
			if h&0x7fff == 0x7c00 {
				return nil, fmt.Errorf("vector %d holds %g, and float16 ends at 65504: normalise the vectors or choose int8", i, v)
			}
			c.numbers = append(c.numbers, h)
		}
	}
	return c, nil
}

func (c *halves) bytes() int { return 2 * len(c.numbers) }

func (c *halves) scorer(queries blas32.General) func(first, n int) blas32.General {
	var p products
	p.load(queries)
	wide := matrix.New(passageBlock, c.d)
	return func(first, n int) blas32.General {
		kernel.Widen(wide.Data, c.numbers[first*c.d:][:n*c.d])
		return p.of(slab(wide, 0, n))
	}
}

// int8Codes are vectors of whole numbers. A vector is its numbers times its scale.
type int8Codes struct {
	width   int    // of a row: the dimensions, filled up with zeros
	numbers []int8 // [m x width]
	scales  []float32
}

func newInt8Codes(vectors blas32.General) *int8Codes {
	width := ceilDiv(vectors.Cols, 16) * 16
	c := &int8Codes{width: width, numbers: make([]int8, vectors.Rows*width), scales: make([]float32, vectors.Rows)}
	for i := range vectors.Rows {
		row := matrix.Row(vectors, i)
		largest := math.Float32frombits(largestBits(row))
		c.scales[i] = largest / math.MaxInt8
		toWhole(c.numbers[i*width:], row, largest, math.MaxInt8)
	}
	return c
}

// toWhole writes the row to dst, scaled so that the largest of its absolute values becomes the limit.
func toWhole[T int8 | int16](dst []T, row []float32, largest float32, limit int) {
	if largest == 0 {
		return
	}
	by := float64(limit) / float64(largest)
	for j, v := range row {
		dst[j] = T(math.RoundToEven(float64(v) * by))
	}
}

func (c *int8Codes) bytes() int { return len(c.numbers) + 4*len(c.scales) }

// scorer keeps as many bits of a query's numbers as the sums of their products leave room for in an int32.
func (c *int8Codes) scorer(queries blas32.General) func(first, n int) blas32.General {
	const together = 4
	limit := min(math.MaxInt16, math.MaxInt32/(math.MaxInt8*c.width))
	wide := make([]int16, ceilDiv(queries.Rows, together)*together*c.width)
	for q := range queries.Rows {
		row := matrix.Row(queries, q)
		toWhole(wide[q*c.width:], row, math.Float32frombits(largestBits(row)), limit)
	}
	scores := matrix.New(passageBlock, queries.Rows)
	return func(first, n int) blas32.General {
		var dots [together]int32
		for q := 0; q < queries.Rows; q += together {
			some := wide[q*c.width:][:together*c.width]
			for i := range n {
				kernel.DotsInt8(&dots, c.numbers[(first+i)*c.width:][:c.width], some)
				to := matrix.Row(scores, i)[q:]
				for j := range min(together, len(to)) {
					to[j] = float32(dots[j]) * c.scales[first+i]
				}
			}
		}
		return slab(scores, 0, n)
	}
}

// signCodes are the signs of vectors: a bit is 1 where a number is positive. The score is the
// number of signs that differ, negated.
type signCodes struct {
	words int
	signs []uint64 // [m x words]
}

func newSignCodes(vectors blas32.General) *signCodes {
	c := &signCodes{words: ceilDiv(vectors.Cols, 64)}
	c.signs = make([]uint64, vectors.Rows*c.words)
	for i := range vectors.Rows {
		for j, v := range matrix.Row(vectors, i) {
			if v > 0 {
				c.signs[i*c.words+j/64] |= 1 << (j % 64)
			}
		}
	}
	return c
}

func (c *signCodes) bytes() int { return 8 * len(c.signs) }

func (c *signCodes) scorer(queries blas32.General) func(first, n int) blas32.General {
	asked := newSignCodes(queries).signs
	scores := matrix.New(passageBlock, queries.Rows)
	return func(first, n int) blas32.General {
		for i := range n {
			passage := c.signs[(first+i)*c.words:][:c.words]
			for q, row := 0, matrix.Row(scores, i); q < len(row); q++ {
				row[q] = -float32(kernel.Hamming(passage, asked[q*c.words:][:c.words]))
			}
		}
		return slab(scores, 0, n)
	}
}
