package distill_test

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder/encodertest"
)

// A student that has never seen the words "walk through" learns from a teacher's scores which passage they go to. The
// student here is the small one for tests; with LibTorch it is encoder/transformer.
func Example() {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "bufio.Scanner", Text: "reads a file line by line"},
		{ID: "sort.Slice", Text: "sorts a slice by a function"},
		{ID: "json.Marshal", Text: "encodes a value as JSON"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := []string{"bufio.Scanner", "sort.Slice", "json.Marshal"}
	lists := []retort.List{
		{Query: retort.Query{ID: "1", Text: "walk through text"}, IDs: ids, Scores: []float64{1, 0.2, 0}},
		{Query: retort.Query{ID: "2", Text: "put in order"}, IDs: ids, Scores: []float64{0, 1, 0.1}},
		{Query: retort.Query{ID: "3", Text: "struct to string"}, IDs: ids, Scores: []float64{0.1, 0, 1}},
	}
	student, err := encodertest.New(encodertest.Options{Seed: 4})
	if err != nil {
		fmt.Println(err)
		return
	}

	opts := distill.DefaultOptions()
	opts.Towers = distill.Both
	opts.Schedule.Epochs, opts.Schedule.LR = 30, 0.01
	opts.Selection.Dev = lists // three lists are too few to hold one out
	result, err := distill.Train(context.Background(), student, corpus, lists, opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("better:", result.Best.Score > result.History[0].Score)
	fmt.Printf("nDCG@10: %.2f\n", result.Best.Score)
	// Output:
	// better: true
	// nDCG@10: 1.00
}
