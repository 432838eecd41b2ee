package encodertest_test

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
)

// A few steps of gradient descent bring a query nearer to a passage.
func Example() {
	ctx := context.Background()
	model, err := encodertest.New(encodertest.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	query := []string{"go through a file line by line"}
	passage := []string{"Scanner provides a convenient interface for reading data such as newline-delimited text."}
	before := similarity(ctx, model, query, passage)

	in, err := model.Prepare(ctx, encoder.Query, query)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 20 {
		p, err := model.Encode(ctx, encoder.Passage, passage)
		if err != nil {
			fmt.Println(err)
			return
		}
		pass, err := model.Forward(ctx, in, []int{0}, true)
		if err != nil {
			fmt.Println(err)
			return
		}
		for i := range p.Data {
			p.Data[i] = -p.Data[i] // the loss is -q.p, its gradient with respect to q is -p
		}
		if err := pass.Backward(p); err != nil {
			fmt.Println(err)
			return
		}
		pass.Close()
		if _, err := model.Step(encoder.Update{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("nearer:", similarity(ctx, model, query, passage) > before)
	// Output: nearer: true
}

func similarity(ctx context.Context, e encoder.Encoder, query, passage []string) float32 {
	q, err := e.Encode(ctx, encoder.Query, query)
	if err != nil {
		return 0
	}
	p, err := e.Encode(ctx, encoder.Passage, passage)
	if err != nil {
		return 0
	}
	return blas32.Dot(
		blas32.Vector{N: q.Cols, Inc: 1, Data: q.Data},
		blas32.Vector{N: p.Cols, Inc: 1, Data: p.Data},
	)
}
