package encodertest

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/contract"
	"github.com/retort-ir/retort/internal/matrix"
)

func encode(t *contract.T, e encoder.Encoder, role encoder.Role, texts []string) blas32.General {
	m, err := e.Encode(t.Context(), role, texts)
	t.NoError(err)
	return m
}

func prepare(t *contract.T, e encoder.Trainable, role encoder.Role, texts []string) encoder.Inputs {
	in, err := e.Prepare(t.Context(), role, texts)
	t.NoError(err)
	t.Equal(len(texts), in.Len())
	return in
}

func forward(t *contract.T, e encoder.Trainable, in encoder.Inputs, rows []int, keepGraph bool) encoder.Pass {
	p, err := e.Forward(t.Context(), in, rows, keepGraph)
	t.NoError(err)
	return p
}

func backward(t *contract.T, e encoder.Trainable, in encoder.Inputs, rows []int, g blas32.General) {
	p := forward(t, e, in, rows, true)
	t.NoError(p.Backward(g))
	t.NoError(p.Close())
}

func step(t *contract.T, e encoder.Trainable, u encoder.Update) float64 {
	norm, err := e.Step(u)
	t.NoError(err)
	return norm
}

func save(t *contract.T, e encoder.Trainable) []byte {
	var b bytes.Buffer
	t.NoError(e.SaveState(&b))
	return b.Bytes()
}

// parameters skips the test for an encoder that does not show its weights.
func parameters(t *contract.T, e encoder.Trainable) []encoder.Parameter {
	p, ok := e.(encoder.Parametric)
	if !ok {
		t.Skip()
	}
	t.True(len(p.Parameters()) > 0, "it is empty")
	return p.Parameters()
}

func value(t *contract.T, p encoder.Parameter) []float32 {
	v, err := p.Value()
	t.NoError(err, p.Name)
	n := 1
	for _, s := range p.Shape {
		n *= s
	}
	t.Equal(n, len(v), p.Name)
	return v
}

func grad(t *contract.T, p encoder.Parameter) []float32 {
	g, err := p.Grad()
	t.NoError(err, p.Name)
	return g
}

// values are the values of all parameters, end to end.
func values(t *contract.T, e encoder.Trainable) (all []float32) {
	for _, p := range parameters(t, e) {
		all = append(all, value(t, p)...)
	}
	return all
}

// gradients are the gradients of all parameters, end to end.
func gradients(t *contract.T, e encoder.Trainable) (all []float32) {
	for _, p := range parameters(t, e) {
		all = append(all, grad(t, p)...)
	}
	return all
}

func requireUnitRows(t *contract.T, m blas32.General, rows, cols int) {
	t.Equal(rows, m.Rows)
	t.Equal(cols, m.Cols)
	for i := range rows {
		t.InDelta(1, l2(matrix.Row(m, i)), 1e-5, "norm of row %d", i)
	}
}

// probe returns a fixed matrix without structure, elements in [-1,1].
func probe(rows, cols int) blas32.General {
	m := matrix.New(rows, cols)
	for i := range m.Data {
		m.Data[i] = float32(math.Sin(float64(1 + 7*i + i*i)))
	}
	return m
}

func pick(m blas32.General, rows []int) blas32.General {
	out := matrix.New(len(rows), m.Cols)
	for i, r := range rows {
		copy(matrix.Row(out, i), matrix.Row(m, r))
	}
	return out
}

func allRows(in encoder.Inputs) []int {
	rows := make([]int, in.Len())
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// spread returns at most k indices below n, the first and the last among them.
func spread(n, k int) []int {
	if n <= k {
		k = n
	}
	var indices []int
	for i := range k {
		indices = append(indices, i*(n-1)/max(k-1, 1))
	}
	return indices
}

// largest returns the indices of the k elements that are largest by absolute value.
func largest(x []float32, k int) []int {
	indices := make([]int, len(x))
	for i := range indices {
		indices[i] = i
	}
	slices.SortStableFunc(indices, func(a, b int) int {
		return cmp.Compare(math.Abs(float64(x[b])), math.Abs(float64(x[a])))
	})
	return indices[:min(k, len(indices))]
}

func dot(a, b blas32.General) float64 {
	var sum float64
	for i := range a.Rows {
		for j, x := range matrix.Row(a, i) {
			sum += float64(x) * float64(matrix.Row(b, i)[j])
		}
	}
	return sum
}

func l2(x []float32) float64 {
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	return math.Sqrt(squares)
}

func distance(a, b []float32) float64 {
	var squares float64
	for i, v := range a {
		d := float64(v) - float64(b[i])
		squares += d * d
	}
	return math.Sqrt(squares)
}

func relative(got, want []float32) float64 { return distance(got, want) / l2(want) }

func toFloat64(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
