package kernel

import "slices"

// Path is a way to compute.
type Path int

// The paths. NEON exists on arm64; AVX2 and AVX512 on amd64.
const (
	Plain  Path = iota // Go without assembly
	NEON               // arm64's 128-bit vectors
	AVX2               // 256-bit vectors; needs FMA too
	AVX512             // 512-bit vectors; needs F, BW, DQ and VL
)

func (p Path) String() string { return [...]string{"plain", "neon", "avx2", "avx512"}[p] }

// implementation is what one path computes with. A field is the function of the same name; see there.
type implementation struct {
	path   Path
	panel  int // columns of a panel of weights
	narrow int // columns of the last panel if no more are left
	rows   int // of the largest tile

	// mul computes a whole product.
	mul func(p *Packed, dst []float32, ldd int, a []float32, lda, rows int)
	// interleave writes columns rows of src, ld apart and n long, as n rows of width floats.
	interleave func(dst []float32, width int, src []float32, ld, columns, n int)

	gelu, geluTanh, silu, relu, softmax func(x []float32)
	add, multiply                       func(dst, x []float32)
	scale                               func(x []float32, by float32)
	dot                                 func(a, b []float32) float32
	firstAbove                          func(x, bound []float32) int
	widen                               func(dst []float32, x []uint16)
	dotsInt8                            func(dst *[4]int32, row []int8, queries []int16)
	layerNorm                           func(dst, x, residual, weight, bias []float32, eps float32)
	rmsNorm                             func(dst, x, weight []float32, eps float32)
}

// available are the implementations that this machine runs, the fastest first.
var available = append(assembly(), &plain)

var active = available[0]

// Paths returns the paths that this machine can take, the fastest first.
func Paths() []Path {
	paths := make([]Path, len(available))
	for i, a := range available {
		paths[i] = a.path
	}
	return paths
}

// Active returns the path that functions take.
func Active() Path { return active.path }

// Force makes functions take a path of Paths until restore is called. It is for tests, while nothing else computes.
// Weights keep the path on which they were packed.
func Force(p Path) (restore func()) {
	before := active
	active = available[slices.Index(Paths(), p)]
	return func() { active = before }
}
