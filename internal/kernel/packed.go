package kernel

// Packed holds the weights of a linear layer in the order in which products read them: in panels of some columns, which
// are the layer's outputs. The zero value is ready for Load.
type Packed struct {
	out, in int
	data    []float32 // a panel is [in x its columns]
	bias    []float32 // one a column, zeros for the columns of the last panel that do not exist
	with    *implementation
}

// Pack packs the weights [out x in] and the bias [out] of a linear layer; a nil bias is zeros. It keeps neither slice.
func Pack(weights []float32, out, in int, bias []float32) *Packed {
	p := new(Packed)
	p.Load(weights, in, out, in)
	copy(p.bias, bias[:min(len(bias), out)])
	return p
}

// Load packs weights [out x in] whose rows begin every ld floats, without a bias. It replaces what p holds, and
// allocates only if that was smaller, so that one Packed serves the keys of one text after another.
func (p *Packed) Load(weights []float32, ld, out, in int) {
	p.reset(out, in)
	p.eachPanel(func(first, width, columns int, panel []float32) {
		p.with.interleave(panel, width, weights[first*ld:], ld, columns, in)
	})
}

// LoadTransposed packs as Load does, from the transpose of the weights: [in x out], rows every ld floats. The product
// is then a . weights, as for attention's values.
func (p *Packed) LoadTransposed(weights []float32, ld, out, in int) {
	p.reset(out, in)
	p.eachPanel(func(first, width, columns int, panel []float32) {
		for i := range in {
			row := panel[i*width : (i+1)*width]
			clear(row[copy(row, weights[i*ld+first:][:columns]):])
		}
	})
}

// Out returns the number of columns of the product.
func (p *Packed) Out() int { return p.out }

// In returns the number of columns of the left matrix.
func (p *Packed) In() int { return p.in }

// Bytes returns the size of the packed weights.
func (p *Packed) Bytes() int { return 4 * (cap(p.data) + cap(p.bias)) }

// Mul computes dst [rows x out] = a [rows x in] . weights^T + bias.
func (p *Packed) Mul(dst, a []float32, rows int) { p.MulStrided(dst, p.out, a, p.in, rows) }

// MulStrided does the work of Mul for a dst whose rows begin every ldd floats and an a whose rows begin every lda.
func (p *Packed) MulStrided(dst []float32, ldd int, a []float32, lda, rows int) {
	if rows == 0 || p.out == 0 {
		return
	}
	dst, a = dst[:(rows-1)*ldd+p.out], a[:(rows-1)*lda+p.in]
	if p.in == 0 {
		for r := range rows {
			copy(dst[r*ldd:][:p.out], p.bias)
		}
		return
	}
	p.with.mul(p, dst, ldd, a, lda, rows)
}

func (p *Packed) reset(out, in int) {
	p.out, p.in, p.with = out, in, active
	columns := p.columns()
	p.data = resize(p.data, columns*in)
	p.bias = resize(p.bias, columns)
	clear(p.bias)
}

// columns returns how many columns the panels have in all.
func (p *Packed) columns() int {
	full := p.out / p.with.panel * p.with.panel
	switch rest := p.out - full; {
	case rest == 0:
		return full
	case rest <= p.with.narrow:
		return full + p.with.narrow
	default:
		return full + p.with.panel
	}
}

// eachPanel calls f with each panel's first column, width, number of columns that exist, and memory.
func (p *Packed) eachPanel(f func(first, width, columns int, panel []float32)) {
	all := p.columns()
	for first := 0; first < p.out; first += p.with.panel {
		width := min(p.with.panel, all-first)
		f(first, width, min(width, p.out-first), p.data[first*p.in:][:width*p.in])
	}
}

func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
