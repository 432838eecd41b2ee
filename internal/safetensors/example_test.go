package safetensors_test

import (
	"bytes"
	"fmt"

	"github.com/retort-ir/retort/internal/safetensors"
)

func Example() {
	var file bytes.Buffer
	err := safetensors.Write(&file, []safetensors.Tensor{
		{Name: "dense.weight", Shape: []int{2, 2}, Values: []float32{1, 0, 0, 1}},
		{Name: "dense.bias", Shape: []int{2}, Values: []float32{0.5, -0.5}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := safetensors.Parse(bytes.NewReader(file.Bytes()), int64(file.Len()), "model.safetensors")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range f.Names() {
		shape, values, err := f.Tensor(name)
		fmt.Println(name, shape, values, err)
	}
	// Output:
	// dense.bias [2] [0.5 -0.5] <nil>
	// dense.weight [2 2] [1 0 0 1] <nil>
}
