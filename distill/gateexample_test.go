package distill_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// Before anything is trained: does the teacher rank better than the student, on queries whose answers are known?
func ExamplePipeline_MeasureGate() {
	ctx := context.Background()
	c := &eval.Collection{Qrels: eval.Qrels{}}
	var passages []retort.Passage
	for i, verb := range strings.Fields("opens closes copies moves sorts counts prints reads writes merges") {
		id := fmt.Sprint("p", i)
		passages = append(passages, retort.Passage{ID: id, Text: "It " + verb + " the file that the caller names."})
		c.Queries = append(c.Queries, retort.Query{ID: fmt.Sprint("q", i), Text: "what " + verb + " a file"})
		c.Qrels[fmt.Sprint("q", i)] = map[string]int{id: 1}
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Corpus = corpus
	bm25, err := mine.NewBM25(ctx, corpus, mine.BM25Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	trials, err := distill.NewTrials(ctx, c, distill.TrialOptions{}, bm25) // and the student's own ranking, where there is one
	if err != nil {
		fmt.Println(err)
		return
	}
	blind := teacher.Func(func(_ context.Context, _ retort.Query, passages []retort.Passage) ([]float64, error) {
		return make([]float64, len(passages)), nil // a student that finds all passages alike
	})
	p := distill.Pipeline{
		Corpus: corpus, Teacher: teacher.FromIndex(corpus, bm25),
		Gate: &distill.Gate{Sets: []distill.GateSet{{Name: "judged queries", Trials: trials, Student: blind}}},
	}
	results, err := p.MeasureGate(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(results[0])
	// Output:
	// teacher 1.000 against student .454 nDCG@10 on 10 judged queries (p .004): there is something to learn
}
