package distill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// BenchmarkStepLoss measures what a step costs besides the encoder, with vectors of 384 elements.
func BenchmarkStepLoss(b *testing.B) {
	for _, size := range []struct {
		queries, passages int
		passagesLearn     bool
		widths            []int
	}{
		{16, 125, true, nil},
		{16, 125, true, []int{384, 256, 128, 64}},
		{32, 7612, false, nil},
		{32, 7612, false, []int{384, 256, 128, 64}},
		{256, 5000, true, nil},
		{256, 5000, true, []int{384, 256, 128, 64}},
	} {
		b.Run(fmt.Sprintf("%dx%d/widths%v", size.queries, size.passages, len(size.widths)), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			q, p := randomMatrix(r, size.queries, 384), randomMatrix(r, size.passages, 384)
			rows := make([]loss.Row, size.queries)
			for i := range rows {
				rows[i] = loss.Row{ID: fmt.Sprint(i), List: []int32{0, 1, 2}, Teacher: []float64{1, 0.5, 0}}
			}
			dq, dp := matrix.New(size.queries, 384), blas32.General{}
			if size.passagesLearn {
				dp = matrix.New(size.passages, 384)
			}
			for b.Loop() {
				_, _, err := nestedLoss(context.Background(), DefaultLoss(), rows, q, p, dq, dp, blockElements, size.widths)
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func randomMatrix(r *rand.Rand, rows, cols int) blas32.General {
	m := matrix.New(rows, cols)
	for i := range m.Data {
		m.Data[i] = float32(r.NormFloat64()) / 20
	}
	return m
}
