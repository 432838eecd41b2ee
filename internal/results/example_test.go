package results_test

import (
	"fmt"
	"os"

	"github.com/retort-ir/retort/internal/results"
)

func Example() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	records := []results.Record{
		{Set: "judged", System: results.Before, Query: "q1", Metrics: results.Metrics{"ndcg@10": .5}, Top: []string{"b", "a"}},
		{Set: "judged", System: results.After, Query: "q1", Metrics: results.Metrics{"ndcg@10": 1}, Top: []string{"a", "b"}},
	}
	if err := results.Save(dir, records); err != nil {
		fmt.Println(err)
		return
	}
	loaded, err := results.Load(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	after := results.Of(loaded, "judged", results.After)["q1"]
	fmt.Println(after.Metrics["ndcg@10"], after.Top)
	// Output: 1 [a b]
}
