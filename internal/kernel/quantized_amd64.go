//go:build !purego

package kernel

import "unsafe"

// widenHalves takes F16C for granted: every processor with AVX2 has it.
func widenHalves(dst []float32, x []uint16) {
	whole := len(x) &^ 7
	widenAVX2(first(dst), unsafe.SliceData(x), whole)
	widenPlain(dst[whole:], x[whole:])
}

func dotsInt8Blocks(dst *[4]int32, row []int8, queries []int16) {
	if len(row)%16 != 0 { // for speed, callers pad their rows
		dotsInt8Plain(dst, row, queries)
		return
	}
	dotsInt8AVX2(&dst[0], unsafe.SliceData(row), unsafe.SliceData(queries), len(row))
}
