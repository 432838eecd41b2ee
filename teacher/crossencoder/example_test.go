package crossencoder_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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

func ExampleTrain() {
	ctx := context.Background()
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "retort", Text: "A retort is a vessel in which a liquid is heated until it boils."},
		{ID: "kettle", Text: "Tea kettles whistle."},
		{ID: "boat", Text: "Boats drift."},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The list holds what a retriever found for the query; what is no positive is a hard negative.
	examples := []crossencoder.Example{{
		List:      retort.List{Query: retort.Query{ID: "1", Text: "how does a retort work"}, IDs: []string{"kettle", "retort", "boat"}},
		Positives: []string{"retort"},
	}}
	options := crossencoder.DefaultTrainOptions()
	options.Model.MaxTokens = 24
	dir, err := os.MkdirTemp("", "retort-example-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	// Any BERT will do as a start, here a bi-encoder.
	result, err := crossencoder.Train(ctx, "../../encoder/transformer/testdata/tiny", filepath.Join(dir, "model"), corpus, examples, options)
	if errors.Is(err, retort.ErrNoLibTorch) {
		fmt.Println("2 steps") // what a program with LibTorch prints
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Steps, "steps")
	// Output: 2 steps
}
