package kernel

import (
	"math/bits"

	"github.com/retort-ir/retort/internal/half"
)

// Widen converts IEEE 754 binary16 numbers to float32, exactly.
func Widen(dst []float32, x []uint16) { active.widen(dst[:len(x)], x) }

// DotsInt8 computes the inner products of a row [d] with four queries [4 x d]. The caller keeps the sums within int32.
func DotsInt8(dst *[4]int32, row []int8, queries []int16) {
	active.dotsInt8(dst, row, queries[:4*len(row)])
}

// Hamming returns the number of bits in which a and b differ. All paths share it, because the compiler uses the
// processor's instruction that counts bits.
func Hamming(a, b []uint64) int {
	b = b[:len(a)]
	n := 0
	for i, x := range a {
		n += bits.OnesCount64(x ^ b[i])
	}
	return n
}

func widenPlain(dst []float32, x []uint16) {
	for i, h := range x {
		dst[i] = half.Float32(h)
	}
}

func dotsInt8Plain(dst *[4]int32, row []int8, queries []int16) {
	for q := range dst {
		dst[q] = 0
		for i, v := range queries[q*len(row):][:len(row)] {
			dst[q] += int32(v) * int32(row[i])
		}
	}
}
