package gguf_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/gguf"
)

func Example() {
	f, err := gguf.Open("testdata/golden.gguf")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	architecture, _ := f.String("general.architecture")
	t, _ := f.Tensor("q4_1.weight")
	values, err := f.Floats(t.Name)
	fmt.Println(architecture, t.Type, t.Shape, len(values), err)
	// Output: llama Q4_1 [3 64] 192 <nil>
}
