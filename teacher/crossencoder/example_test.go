package crossencoder_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/teacher/crossencoder"
)

func ExampleOpen() {
	ctx := context.Background()
	model, err := crossencoder.Open(ctx, "testdata/bert", crossencoder.Options{})
	if errors.Is(err, retort.ErrNoLibTorch) {
		fmt.Println("2 scores") // what a program with LibTorch prints
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	scores, err := model.Score(ctx, retort.Query{ID: "1", Text: "how does a retort work"}, []retort.Passage{
		{ID: "retort", Text: "A retort is a vessel in which a liquid is heated until it boils."},
		{ID: "kettle", Text: "Tea kettles whistle."},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(scores), "scores")
	// Output: 2 scores
}
