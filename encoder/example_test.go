package encoder_test

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
)

// Code that searches needs an Encoder only, whatever model is behind it.
func Example() {
	var e encoder.Encoder
	e, err := encodertest.New(encodertest.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	vectors, err := e.Encode(context.Background(), encoder.Passage, []string{"sorts a slice", "reads a file"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("[%d x %d]\n", vectors.Rows, vectors.Cols)
	// Output: [2 x 16]
}
