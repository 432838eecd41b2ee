package static_test

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/static"
)

func Example() {
	ctx := context.Background()
	model, err := static.Open(ctx, "testdata/model2vec", static.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	rows, err := model.Encode(ctx, encoder.Query, []string{"how do I close a server"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rows.Rows, "x", rows.Cols)
	// Output: 1 x 12
}
