package gguf

import "unsafe"

// A product of quantised rows with rows of float32 is computed in integers. The values of an input row are rounded to 16
// bits, with a scale for each chunk of 256; the weights are the file's own integers. A group's integers are multiplied and
// summed without rounding, and what comes out is scaled by float32:
//
//	Σ_chunk inputScale[chunk] Σ_group (scale[group] Σ q x + least[group] Σ x)
//
// So a product differs from that of the dequantised weights by no more than 2^-16 of a chunk's largest input.

// Multiplies says whether this processor can compute with Input and Rows.
func Multiplies() bool { return haveProduct }

// A tile is the product of stripRows rows of weights with stripInputs rows of input, stripValues values at a time. A
// register holds two values each of eight rows of weights, so that its lanes become the sums of eight rows, and two
// values of an input row are broadcast to all lanes: what is loaded once serves stripInputs products, or stripRows.
const (
	stripRows   = 16
	stripInputs = 4
	stripValues = 32
	laneRows    = 8 // rows of a register
)

// pieceValues is how much of a strip of input is multiplied by all rows before the next part is, so that it stays in the
// cache beside a core.
const pieceValues = 4 * chunkValues

// Input is rows of float32 numbers, rounded to 16 bits, that quantised rows are multiplied by. Its methods must not run at
// the same time, but Rows.Multiply may read it on many goroutines.
type Input struct {
	rows, columns int
	values        []int16   // [strips x columns/stripValues x stripInputs x stripValues]
	scales        []float32 // [strips x chunks x stripInputs]
	sums          []float32 // [strips x columns/groupValues x stripInputs], of the values times their scale
}

// Reset makes room for rows of input of so many columns, a multiple of 32.
func (x *Input) Reset(rows, columns int) {
	padded := (rows + stripInputs - 1) / stripInputs * stripInputs
	x.rows, x.columns = rows, columns
	x.values = grow(x.values, padded*columns)
	x.scales = grow(x.scales, padded*chunks(columns))
	x.sums = grow(x.sums, padded*columns/groupValues)
}

// Set rounds a row of input. It may be called for different rows at the same time.
func (x *Input) Set(row int, values []float32) {
	strip, lane := row/stripInputs, row%stripInputs
	out := x.values[strip*stripInputs*x.columns+lane*stripValues:]
	scales := x.scales[strip*stripInputs*chunks(x.columns)+lane:]
	sums := x.sums[strip*stripInputs*x.columns/groupValues+lane:]
	for at := 0; at < x.columns; at += chunkValues {
		n := min(chunkValues, x.columns-at)
		roundAVX2(&out[at*stripInputs], &scales[at/chunkValues*stripInputs], &sums[at/groupValues*stripInputs], &values[at],
			n/stripValues)
	}
}

// Rows is a block of rows of quantised matrices, unpacked to be multiplied. It belongs to one goroutine at a time.
type Rows struct {
	rows, columns int
	fine          bool      // a scale is for 16 values, not 32, in some row
	shifted       bool      // some row has a least
	values        []int16   // [strips x columns/2 x stripRows x 2]
	scales        []float32 // [strips x columns/groupValues x stripRows]
	least         []float32 // as scales
	bytes         []byte    // [laneRows x columns], of the rows that are not in values yet
	chunk         chunk
}

// Reset makes room for rows of so many columns, a multiple of 32.
func (b *Rows) Reset(rows, columns int) {
	padded := (rows + stripRows - 1) / stripRows * stripRows
	b.rows, b.columns, b.fine, b.shifted = rows, columns, false, false
	b.values = grow(b.values, padded*columns)
	b.scales = grow(b.scales, padded*columns/groupValues)
	b.least = grow(b.least, padded*columns/groupValues)
	b.bytes = grow(b.bytes, laneRows*columns)
}

// Set unpacks row from of a matrix of a quantised type. All rows of the block must be set, in their order.
func (b *Rows) Set(row int, m Matrix, from int) {
	strip, lane := row/stripRows, row%stripRows
	bytes := b.bytes[row%laneRows*b.columns:][:b.columns]
	first := strip*stripRows*b.columns/groupValues + lane
	scales, least := b.scales[first:], b.least[first:]
	data := m.data[from*m.rowBytes():]
	f := m.format
	b.fine = b.fine || f.fine
	b.shifted = b.shifted || f.shifted
	if f.strip != nil {
		f.strip(&bytes[0], &scales[0], &least[0], &data[0], b.columns/f.values)
	} else {
		b.unpackChunks(f, bytes, scales, least, data)
	}
	if row%laneRows == laneRows-1 || row == b.rows-1 {
		interleaveAVX2(&b.values[strip*stripRows*b.columns+lane/laneRows*laneRows*2], &b.bytes[0], b.columns)
	}
}

// unpackChunks unpacks a row and puts its groups into one lane of a strip.
func (b *Rows) unpackChunks(f format, bytes []byte, scales, least []float32, data []byte) {
	c := &b.chunk
	for at := 0; at < b.columns; at += chunkValues {
		n := min(chunkValues, b.columns-at)
		blocks := data[:n/f.values*f.bytes]
		data = data[len(blocks):]
		if f.quants != nil {
			f.quants(&bytes[at], &blocks[0], n/f.values)
			for i := 0; i < n; i += f.values {
				f.scales(c, i, blocks[i/f.values*f.bytes:])
			}
		} else {
			for i := 0; i < n; i += f.values {
				f.unpack(c, i, blocks[i/f.values*f.bytes:][:f.bytes])
			}
			copy(bytes[at:], c.q[:n])
		}
		for i, g := range c.groups[:n/groupValues] {
			scales[(at/groupValues+i)*stripRows], least[(at/groupValues+i)*stripRows] = g.scale, g.least
		}
	}
}

// Multiply sets dst[i*stride+j] to the product of row i of the input and row j of the block.
func (b *Rows) Multiply(dst []float32, stride int, x *Input) {
	var edge [stripInputs * stripRows]float32
	for first := 0; first < x.rows; first += stripInputs {
		inputs := min(stripInputs, x.rows-first)
		for i := range inputs {
			clear(dst[(first+i)*stride:][:b.rows])
		}
		for at := 0; at < b.columns; at += pieceValues {
			t := b.tile(x, first, at)
			for row := 0; row < b.rows; row += stripRows {
				if row > 0 {
					t.next(b.columns)
				}
				rows := min(stripRows, b.rows-row)
				if inputs == stripInputs && rows == stripRows {
					t.dst, t.stride = &dst[first*stride+row], 4*stride
					tileAVX2(&t)
					continue
				}
				clear(edge[:])
				t.dst, t.stride = &edge[0], 4*stripRows
				tileAVX2(&t)
				for i := range inputs {
					line := dst[(first+i)*stride+row:][:rows]
					for j := range line {
						line[j] += edge[i*stripRows+j]
					}
				}
			}
		}
	}
}

// tile is what tileAVX2 multiplies: a piece of a strip of rows and of a strip of input.
type tile struct {
	values, inputs *int16
	scales         *float32
	inputScales    *float32
	least, sums    *float32 // least is nil where the rows have none
	strips         int      // stripValues at a time
	fine           int
	dst            *float32 // to whose [stripInputs x stripRows] the products are added
	stride         int      // in bytes, from one input's to the next one's
}

// tile returns the tile of the first strip of rows, of the values from at on.
func (b *Rows) tile(x *Input, input, at int) tile {
	t := tile{
		values:      &b.values[at*stripRows],
		scales:      &b.scales[at*stripRows/groupValues],
		inputs:      &x.values[input*x.columns+at*stripInputs],
		inputScales: &x.scales[input*chunks(x.columns)+at/chunkValues*stripInputs],
		sums:        &x.sums[(input*x.columns+at*stripInputs)/groupValues],
		strips:      min(pieceValues, b.columns-at) / stripValues,
	}
	if b.fine {
		t.fine = 1
	}
	if b.shifted {
		t.least = &b.least[at*stripRows/groupValues]
	}
	return t
}

// next goes to the next strip of rows of so many columns, which must be there: the garbage collector looks at pointers.
func (t *tile) next(columns int) {
	t.values = (*int16)(unsafe.Add(unsafe.Pointer(t.values), 2*stripRows*columns))
	groups := 4 * stripRows * columns / groupValues
	t.scales = (*float32)(unsafe.Add(unsafe.Pointer(t.scales), groups))
	if t.least != nil {
		t.least = (*float32)(unsafe.Add(unsafe.Pointer(t.least), groups))
	}
}

func chunks(columns int) int { return (columns + chunkValues - 1) / chunkValues }

// grow returns a slice of n elements, s where that is long enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
