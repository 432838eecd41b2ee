package matrix_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/matrix"
)

func Example() {
	m := matrix.New(2, 3)
	copy(matrix.Row(m, 1), []float32{1, 2, 3})
	fmt.Println(m.Data, matrix.Row(m, 1))
	// Output: [0 0 0 1 2 3] [1 2 3]
}
