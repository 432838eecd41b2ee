package onnx_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/onnx"
)

func Example() {
	m, err := onnx.Open("testdata/tiny.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	parameters, err := m.Parameters()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range parameters {
		if p.Name == "encoder.layer.0.intermediate.dense.weight" {
			fmt.Println(p.Name, p.Shape)
		}
	}
	// Output: encoder.layer.0.intermediate.dense.weight [64 32]
}
