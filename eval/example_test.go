package eval_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/retort-ir/retort/eval"
)

func Example() {
	qrels := eval.Qrels{
		"q1": {"io.ReadAll": 2, "os.ReadFile": 1},
		"q2": {"strings.Cut": 1},
		"q3": {"sort.Slice": 1},
	}
	before := eval.Run{
		"q1": {{ID: "os.Open", Score: .9}, {ID: "os.ReadFile", Score: .7}, {ID: "io.ReadAll", Score: .4}},
		"q2": {{ID: "strings.Split", Score: .8}, {ID: "strings.Cut", Score: .6}},
	}
	after := eval.Run{
		"q1": {{ID: "io.ReadAll", Score: .9}, {ID: "os.ReadFile", Score: .8}},
		"q2": {{ID: "strings.Cut", Score: .8}},
	}

	// q3 was not answered: it counts as 0.
	reportBefore, err := eval.Evaluate(qrels, before)
	if err != nil {
		fmt.Println(err)
		return
	}
	reportAfter, err := eval.Evaluate(qrels, after)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("nDCG@10 %.3f -> %.3f\n", reportBefore.Mean(eval.NDCG(10)), reportAfter.Mean(eval.NDCG(10)))

	c, err := eval.Compare(context.Background(), reportBefore, reportAfter, eval.NDCG(10), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("difference %+.3f, p = %.2f, %d of %d queries better\n", c.Delta, c.P, c.Better, c.N)
	// Output:
	// nDCG@10 0.417 -> 0.667
	// difference +0.250, p = 0.50, 2 of 3 queries better
}

// A report prints as JSON.
func ExampleReport() {
	qrels := eval.Qrels{"q1": {"strings.Cut": 1}, "q2": {"sort.Slice": 1}}
	run := eval.Run{"q1": {{ID: "strings.Split", Score: .8}, {ID: "strings.Cut", Score: .6}}}
	report, err := eval.Evaluate(qrels, run, eval.MRR(10), eval.Recall(100))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"mrr@10":0.25,"recall@100":0.5,"queries":2}
}
