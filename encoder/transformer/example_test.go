package transformer_test

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
)

func ExampleOpen() {
	ctx := context.Background()
	model, err := transformer.Open(ctx, "testdata/tiny", transformer.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	vectors, err := model.Encode(ctx, encoder.Query, []string{"read a file line by line", "what is a retort"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(vectors.Rows, "vectors of width", vectors.Cols)
	// Output: 2 vectors of width 32
}
