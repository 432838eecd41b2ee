package kernel

import "math"

// plain works everywhere. Products are rounded before they are added, float32(x*y), so that no compiler fuses the two
// in one place and not in another.
var plain = implementation{
	path: Plain, panel: 4, narrow: 4, mul: mulPlain, interleave: interleavePlain,
	gelu: geluPlain, geluTanh: geluTanhPlain, silu: siluPlain, relu: reluPlain, softmax: softmaxPlain,
	add: addPlain, multiply: multiplyPlain, scale: scalePlain, dot: dotPlain, firstAbove: firstAbovePlain,
	layerNorm: layerNormPlain, rmsNorm: rmsNormPlain, widen: widenPlain, dotsInt8: dotsInt8Plain,
}

func mulPlain(p *Packed, dst []float32, ldd int, a []float32, lda, rows int) {
	for first := 0; first < p.out; first += 4 {
		panel := p.data[first*p.in:][:4*p.in]
		bias := [4]float32(p.bias[first:])
		columns := min(4, p.out-first)
		for r := 0; r < rows; r += 2 {
			last := min(r+1, rows-1) // the same row twice if their number is odd
			c, d := twoRows(a[r*lda:][:p.in], a[last*lda:][:p.in], panel, bias)
			copy(dst[r*ldd+first:], c[:columns])
			copy(dst[last*ldd+first:], d[:columns])
		}
	}
}

// twoRows multiplies two rows with a panel of four columns.
func twoRows(x, y, panel []float32, bias [4]float32) (c, d [4]float32) {
	c0, c1, c2, c3 := bias[0], bias[1], bias[2], bias[3]
	d0, d1, d2, d3 := c0, c1, c2, c3
	y = y[:len(x)]
	for i, u := range x {
		v := y[i]
		w := (*[4]float32)(panel[4*i:])
		c0 += float32(u * w[0])
		c1 += float32(u * w[1])
		c2 += float32(u * w[2])
		c3 += float32(u * w[3])
		d0 += float32(v * w[0])
		d1 += float32(v * w[1])
		d2 += float32(v * w[2])
		d3 += float32(v * w[3])
	}
	return [4]float32{c0, c1, c2, c3}, [4]float32{d0, d1, d2, d3}
}

func interleavePlain(dst []float32, width int, src []float32, ld, columns, n int) {
	interleaveColumns(dst, width, src, ld, 0, columns, n)
}

// interleaveColumns interleaves the columns from one on, with zeros in those that do not exist.
func interleaveColumns(dst []float32, width int, src []float32, ld, from, columns, n int) {
	for j := from; j < width; j++ {
		if j >= columns {
			for i := range n {
				dst[i*width+j] = 0
			}
			continue
		}
		for i, v := range src[j*ld:][:n] {
			dst[i*width+j] = v
		}
	}
}

func geluPlain(x []float32) {
	for i, v := range x {
		x[i] = float32(float64(v) / 2 * (1 + math.Erf(float64(v)/math.Sqrt2)))
	}
}

func geluTanhPlain(x []float32) {
	for i, v := range x {
		f := float64(v)
		x[i] = float32(f / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(f+0.044715*f*f*f))))
	}
}

func siluPlain(x []float32) {
	for i, v := range x {
		x[i] = float32(float64(v) / (1 + math.Exp(-float64(v))))
	}
}

func reluPlain(x []float32) {
	for i, v := range x {
		x[i] = max(v, 0)
	}
}

func softmaxPlain(x []float32) {
	largest := x[0]
	for _, v := range x {
		largest = max(largest, v)
	}
	var sum float64
	for i, v := range x {
		e := math.Exp(float64(v - largest))
		x[i] = float32(e)
		sum += e
	}
	scalePlain(x, float32(1/sum))
}

func addPlain(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}

func multiplyPlain(dst, x []float32) {
	for i, v := range x {
		dst[i] *= v
	}
}

func scalePlain(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}

func dotPlain(a, b []float32) float32 {
	var s, t, u, v float32 // four independent chains, for instruction-level parallelism
	for len(a) >= 4 && len(b) >= 4 {
		s += float32(a[0] * b[0])
		t += float32(a[1] * b[1])
		u += float32(a[2] * b[2])
		v += float32(a[3] * b[3])
		a, b = a[4:], b[4:]
	}
	for i := range a {
		s += float32(a[i] * b[i])
	}
	return s + t + (u + v)
}

func firstAbovePlain(x, bound []float32) int {
	for i, v := range x {
		if v > bound[i] {
			return i
		}
	}
	return len(x)
}

func layerNormPlain(dst, x, residual, weight, bias []float32, eps float32) {
	var sum float64
	for i, v := range x {
		if residual != nil {
			v += residual[i]
		}
		dst[i] = v
		sum += float64(v)
	}
	mean := sum / float64(len(dst))
	var squares float64
	for _, v := range dst {
		d := float64(v) - mean
		squares += d * d
	}
	by := 1 / math.Sqrt(squares/float64(len(dst))+float64(eps))
	for i, v := range dst {
		v = float32((float64(v)-mean)*by) * weight[i]
		if bias != nil {
			v += bias[i]
		}
		dst[i] = v
	}
}

func rmsNormPlain(dst, x, weight []float32, eps float32) {
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	by := 1 / math.Sqrt(squares/float64(len(x))+float64(eps))
	for i, v := range x {
		dst[i] = float32(float64(v)*by) * weight[i]
	}
}
