package losstest_test

import (
	"fmt"

	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/loss/losstest"
)

// The two gradients of a row of three columns, of which the third is not in the list.
func ExampleCentralDifferences() {
	row := loss.Row{ID: "q1", List: []int32{0, 1}, Teacher: []float64{0.9, 0.3}, Positive: -1}
	sim := []float32{0.5, 0.5, 0.75}
	diff, err := losstest.CentralDifferences(loss.ListwiseKL{}, &row, sim)
	if err != nil {
		fmt.Println(err)
		return
	}
	grad := make([]float32, len(sim))
	if _, err := (loss.ListwiseKL{}).Row(&row, sim, grad, 1); err != nil {
		fmt.Println(err)
		return
	}
	for i := range sim {
		fmt.Printf("%+.4f %+.4f\n", grad[i], diff[i])
	}
	// Output:
	// -7.6159 -7.6159
	// +7.6159 +7.6159
	// +0.0000 +0.0000
}
