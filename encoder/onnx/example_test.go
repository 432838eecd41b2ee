//go:build cgo

package onnx_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/onnx"
)

// The folder is what "retort export -onnx -model runs/mine/model -out mine-onnx" wrote.
func Example() {
	ctx := context.Background()
	model, err := onnx.Open(ctx, "mine-onnx", onnx.Options{Library: os.Getenv("ONNXRUNTIME_LIBRARY")})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	vectors, err := model.Encode(ctx, encoder.Query, []string{"how do I read a file line by line"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vectors.Rows, "x", vectors.Cols)
}
