//go:build !purego && (amd64 || arm64)

package kernel

import "unsafe"

// tile is what one call of assembly computes: the sums of some rows for the columns of one panel, over part of the
// columns of the left matrix. A call takes microseconds, because nothing can interrupt it.
type tile struct {
	a, b, c *float32 // the left matrix, the panel, the result
	start   *float32 // what a row begins with, the bias; nil: with what the result holds
	ahead   uintptr  // memory to bring into the cache, perhaps beyond the panel: no pointer, which would keep its owner
	lda     int      // bytes from a row of a to the next
	ldc     int
	k       int // columns of a
	step    int // bytes of ahead for each 64 bytes of b: 64 brings in every line, 32 every second time
}

// Sizes of what stays in a core's caches: the part of a panel, and the part of the left matrix.
const (
	depth     = 512       // columns of a
	leftBytes = 200 << 10 // of a
)

// lookahead is how far ahead the first rows bring in the panel that they read.
const lookahead = 2048

// mulTiles computes the product, some rows of a at a time, panel by panel, by tiles.
func mulTiles(p *Packed, dst []float32, ldd int, a []float32, lda, rows int) {
	block := max(p.with.rows, leftBytes/(4*p.in)/p.with.rows*p.with.rows)
	for begin := 0; begin < rows; begin += block {
		n := min(block, rows-begin)
		p.eachPanel(func(firstColumn, width, columns int, panel []float32) {
			bias := &p.bias[firstColumn]
			if columns == width {
				p.mulPanel(dst[begin*ldd+firstColumn:], ldd, a[begin*lda:], lda, n, panel, width, bias)
				return
			}
			p.mulMargin(dst[begin*ldd+firstColumn:], ldd, a[begin*lda:], lda, n, panel, width, columns, bias)
		})
	}
}

// mulPanel multiplies some rows with a panel. Rows are split evenly over tiles.
func (p *Packed) mulPanel(
	dst []float32, ldd int, a []float32, lda, rows int, panel []float32, width int, bias *float32,
) {
	t := tile{lda: 4 * lda, ldc: 4 * ldd, start: bias}
	tiles := ceilDiv(rows, p.with.rows)
	for k := 0; k < p.in; k += depth {
		t.k = min(depth, p.in-k)
		t.b = &panel[k*width]
		size := t.k * width * 4
		for i := range tiles {
			row, end := i*rows/tiles, (i+1)*rows/tiles
			t.a, t.c = &a[row*lda+k], &dst[row*ldd]
			// The first tile brings in what it reads next; the second and the third a half each of what comes after.
			t.ahead, t.step = uintptr(unsafe.Pointer(t.b))+lookahead, 64
			if i > 0 {
				t.step = 32
				t.ahead = uintptr(unsafe.Pointer(t.b)) + uintptr(size+(i-1)%2*size/2)
			}
			p.tileOf(end-row, width, &t)
		}
		t.start = nil
	}
}

// mulMargin does the work of mulPanel for a panel of which only some columns exist.
func (p *Packed) mulMargin(
	dst []float32, ldd int, a []float32, lda, rows int, panel []float32, width, columns int, bias *float32,
) {
	var margin [12 * 32]float32
	for row := 0; row < rows; row += p.with.rows {
		n := min(p.with.rows, rows-row)
		p.mulPanel(margin[:], width, a[row*lda:], lda, n, panel, width, bias)
		for r := range n {
			copy(dst[(row+r)*ldd:][:columns], margin[r*width:])
		}
	}
}

// first returns a pointer to the first element; nil if there is none.
func first(x []float32) *float32 { return unsafe.SliceData(x) }

func ceilDiv(a, b int) int { return (a + b - 1) / b }
