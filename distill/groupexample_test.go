package distill_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder/encodertest"
)

// Two workers of one process, with a student each, train like one.
func ExampleNewLocalGroups() {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "sort", Text: "Slice sorts the slice x given the provided less function."},
		{ID: "scan", Text: "Scanner reads a file line by line."},
		{ID: "json", Text: "Marshal returns the JSON encoding of v."},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	lists := []retort.List{
		{
			Query: retort.Query{ID: "1", Text: "order my records"}, IDs: []string{"sort", "scan", "json"},
			Scores: []float64{1, 0, 0},
		},
		{
			Query: retort.Query{ID: "2", Text: "loop over lines"}, IDs: []string{"sort", "scan", "json"},
			Scores: []float64{0, 1, 0},
		},
	}
	groups := distill.NewLocalGroups(2)
	steps := make([]int, len(groups))
	var wg sync.WaitGroup
	for rank, group := range groups {
		wg.Add(1)
		go func() {
			defer wg.Done()
			student, err := encodertest.New(encodertest.Options{Dim: 8, Seed: 1})
			if err != nil {
				fmt.Println(err)
				return
			}
			opts := distill.DefaultOptions()
			opts.Towers = distill.Both
			opts.Selection.DevFraction, opts.Group = 0, group
			result, err := distill.Train(context.Background(), student, corpus, lists, opts)
			if err != nil {
				fmt.Println(err)
				return
			}
			steps[rank] = result.Steps
		}()
	}
	wg.Wait()
	fmt.Println(steps)
	// Output: [1 1]
}
