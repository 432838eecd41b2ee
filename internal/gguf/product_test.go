package gguf

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// shuffled returns a matrix of blocks of the golden file's tensors, of each quantised type.
func shuffled(t testing.TB, rng *rand.Rand, rows, columns int) []Matrix {
	t.Helper()
	f, err := Open("testdata/golden.gguf")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	var out []Matrix
	for _, entry := range f.Tensors() {
		m, err := f.Matrix(entry.Name)
		if err != nil || !m.Type.Quantised() || columns%m.format.values != 0 {
			continue
		}
		size := m.format.bytes
		blocks := len(m.data) / size
		random := Matrix{Rows: rows, Columns: columns, Type: m.Type, format: m.format}
		for range rows * columns / m.format.values {
			i := rng.IntN(blocks)
			random.data = append(random.data, m.data[i*size:(i+1)*size]...)
		}
		out = append(out, random)
	}
	return out
}

// product multiplies all rows of a matrix.
func product(m Matrix, input []float32, inputs int) []float32 {
	var x Input
	x.Reset(inputs, m.Columns)
	for i := range inputs {
		x.Set(i, input[i*m.Columns:(i+1)*m.Columns])
	}
	var b Rows
	b.Reset(m.Rows, m.Columns)
	for i := range m.Rows {
		b.Set(i, m, i)
	}
	out := make([]float32, inputs*m.Rows)
	b.Multiply(out, m.Rows, &x)
	return out
}

// The reference is the sum in float64 over the dequantised weights. Each input is rounded by at most a 65,534th of the
// largest of its chunk.
func TestProductsEqualThoseOfTheDequantisedRows(t *testing.T) {
	if !Multiplies() {
		t.Skip("this processor has no AVX2 and FMA")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, columns := range []int{32, 224, 256, 288, 896, 1024, 1056, 2304} {
		for _, shape := range [][2]int{{1, 1}, {2, 4}, {7, 9}, {16, 4}, {41, 6}} {
			rows, inputs := shape[0], shape[1]
			input := make([]float32, inputs*columns)
			for i := range input {
				input[i] = float32(rng.NormFloat64() * math.Exp(rng.NormFloat64()))
			}
			for _, m := range shuffled(t, rng, rows, columns) {
				got := product(m, input, inputs)
				weights := make([]float32, rows*columns)
				m.Read(weights, 0, rows)
				for i := range inputs {
					for row := range rows {
						want, size, largest := 0.0, 0.0, 0.0
						for c := range columns {
							x, w := float64(input[i*columns+c]), float64(weights[row*columns+c])
							want, size, largest = want+x*w, size+math.Abs(w), max(largest, math.Abs(x))
						}
						require.InDelta(t, want, got[i*rows+row], size*largest/65534+1e-5*math.Abs(want),
							"%s, %d columns, row %d of %d, input %d of %d", m.Type, columns, row, rows, i, inputs)
					}
				}
			}
		}
	}
}

func TestWhatIsNotFiniteStaysSoInAProduct(t *testing.T) {
	if !Multiplies() {
		t.Skip("this processor has no AVX2 and FMA")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		for _, at := range []int{0, 17, 300} {
			input := make([]float32, 512)
			for i := range input {
				input[i] = float32(rng.NormFloat64())
			}
			input[at] = bad
			for _, m := range shuffled(t, rng, 3, 512) {
				for _, v := range product(m, input, 1) {
					require.True(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0), "%v at %d, %s: %v", bad, at, m.Type, v)
				}
			}
		}
	}
}

func TestAProductWithZerosIsZero(t *testing.T) {
	if !Multiplies() {
		t.Skip("this processor has no AVX2 and FMA")
	}
	for _, m := range shuffled(t, rand.New(rand.NewPCG(5, 6)), 3, 512) {
		require.Equal(t, make([]float32, 6), product(m, make([]float32, 1024), 2), m.Type.String())
	}
}

func BenchmarkMultiply(b *testing.B) {
	if !Multiplies() {
		b.Skip("this processor has no AVX2 and FMA")
	}
	const rows, columns = 128, 1024
	for _, m := range shuffled(b, rand.New(rand.NewPCG(1, 2)), rows, columns) {
		b.Run(m.Type.String()+"/unpack", func(b *testing.B) {
			var r Rows
			for b.Loop() {
				r.Reset(rows, columns)
				for i := range rows {
					r.Set(i, m, i)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows*columns), "ns/weight")
		})
		for _, inputs := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/%d", m.Type, inputs), func(b *testing.B) {
				var x Input
				x.Reset(inputs, columns)
				for i := range inputs {
					x.Set(i, make([]float32, columns))
				}
				var r Rows
				r.Reset(rows, columns)
				for i := range rows {
					r.Set(i, m, i)
				}
				out := make([]float32, inputs*rows)
				for b.Loop() {
					r.Multiply(out, rows, &x)
				}
				b.ReportMetric(float64(b.N)*rows*columns*float64(inputs)/float64(b.Elapsed().Nanoseconds()), "products/ns")
			})
		}
	}
}
