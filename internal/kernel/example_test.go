package kernel_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/kernel"
)

func Example() {
	weights := []float32{1, 2, 3, -4} // of two outputs, each of two inputs
	layer := kernel.Pack(weights, 2, 2, []float32{0.5, 0})
	x := []float32{1, 1, 2, 0} // two rows
	y := make([]float32, 4)
	layer.Mul(y, x, 2)
	fmt.Println(y)
	kernel.ReLU(y)
	fmt.Println(y)
	// Output:
	// [3.5 -1 2.5 6]
	// [3.5 0 2.5 6]
}
