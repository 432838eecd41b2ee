package npy_test

import (
	"bytes"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/npy"
)

func Example() {
	var file bytes.Buffer
	w, err := npy.NewWriter(&file, 2, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, vector := range [][]float32{{1, 0}, {.6, .8}} {
		if err := w.Append(blas32.General{Rows: 1, Cols: 2, Stride: 2, Data: vector}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}
	m, err := npy.Read(&file, int64(file.Len()), "vectors.npy")
	fmt.Println(m.Rows, m.Cols, m.Data, err)
	// Output:
	// 2 2 [1 0 0.6 0.8] <nil>
}
