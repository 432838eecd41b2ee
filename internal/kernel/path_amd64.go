//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// assembly returns the implementations in assembly that this machine runs, the fastest first.
func assembly() []*implementation {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	if !cpu.X86.HasAVX512F || !cpu.X86.HasAVX512BW || !cpu.X86.HasAVX512DQ || !cpu.X86.HasAVX512VL {
		return []*implementation{&ofAVX2}
	}
	return []*implementation{&ofAVX512, &ofAVX2}
}

var ofAVX2 = implementation{
	path: AVX2, panel: 16, narrow: 8, rows: 6, mul: mulTiles, interleave: interleaveAVX2,
	widen: widenHalves, dotsInt8: dotsInt8Blocks,
	gelu:     func(x []float32) { geluAVX2(first(x), len(x)) },
	geluTanh: func(x []float32) { geluTanhAVX2(first(x), len(x)) },
	silu:     func(x []float32) { siluAVX2(first(x), len(x)) },
	relu:     func(x []float32) { reluAVX2(first(x), len(x)) },
	softmax:  func(x []float32) { softmaxAVX2(first(x), len(x)) },
	add:      func(dst, x []float32) { addAVX2(first(dst), first(x), len(x)) },
	multiply: func(dst, x []float32) { multiplyAVX2(first(dst), first(x), len(x)) },
	scale:    func(x []float32, by float32) { scaleAVX2(first(x), len(x), by) },
	dot:      func(a, b []float32) float32 { return dotAVX2(first(a), first(b), len(a)) },
	layerNorm: func(dst, x, residual, weight, bias []float32, eps float32) {
		layerNormAVX2(first(dst), first(x), first(residual), first(weight), first(bias), len(x), eps)
	},
	rmsNorm: func(dst, x, weight []float32, eps float32) {
		rmsNormAVX2(first(dst), first(x), first(weight), len(x), eps)
	},
	firstAbove: func(x, bound []float32) int {
		whole := len(x) &^ 7
		if i := firstAboveAVX2(first(x), first(bound), whole); i < whole {
			return i
		}
		return whole + firstAbovePlain(x[whole:], bound[whole:])
	},
}

var ofAVX512 = implementation{
	path: AVX512, panel: 32, narrow: 16, rows: 12, mul: mulTiles, interleave: interleaveAVX2,
	widen: widenHalves, dotsInt8: dotsInt8Blocks,
	gelu:     func(x []float32) { geluAVX512(first(x), len(x)) },
	geluTanh: func(x []float32) { geluTanhAVX512(first(x), len(x)) },
	silu:     func(x []float32) { siluAVX512(first(x), len(x)) },
	relu:     func(x []float32) { reluAVX512(first(x), len(x)) },
	softmax:  func(x []float32) { softmaxAVX512(first(x), len(x)) },
	add:      func(dst, x []float32) { addAVX512(first(dst), first(x), len(x)) },
	multiply: func(dst, x []float32) { multiplyAVX512(first(dst), first(x), len(x)) },
	scale:    func(x []float32, by float32) { scaleAVX512(first(x), len(x), by) },
	dot:      func(a, b []float32) float32 { return dotAVX512(first(a), first(b), len(a)) },
	layerNorm: func(dst, x, residual, weight, bias []float32, eps float32) {
		layerNormAVX512(first(dst), first(x), first(residual), first(weight), first(bias), len(x), eps)
	},
	rmsNorm: func(dst, x, weight []float32, eps float32) {
		rmsNormAVX512(first(dst), first(x), first(weight), len(x), eps)
	},
	firstAbove: func(x, bound []float32) int {
		whole := len(x) &^ 15
		if i := firstAboveAVX512(first(x), first(bound), whole); i < whole {
			return i
		}
		return whole + firstAbovePlain(x[whole:], bound[whole:])
	},
}

// interleaveAVX2 transposes blocks of 8 x 8 floats and leaves the margins to plain Go.
func interleaveAVX2(dst []float32, width int, src []float32, ld, columns, n int) {
	blocks, j := n/8, 0
	for ; blocks > 0 && j+8 <= columns; j += 8 {
		transposeAVX2(&dst[j], 4*width, &src[j*ld], 4*ld, blocks)
	}
	done := 8 * blocks
	for row := range j {
		for i := done; i < n; i++ {
			dst[i*width+row] = src[row*ld+i]
		}
	}
	interleaveColumns(dst, width, src, ld, j, columns, n)
}

// tileOf computes a tile of some rows and of a panel's columns.
func (p *Packed) tileOf(rows, width int, t *tile) {
	if p.with.path == AVX512 {
		tileAVX512(rows, width/16, t)
		return
	}
	tileAVX2(rows, width/8, t)
}
