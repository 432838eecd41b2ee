package pipeline

import (
	"context"
	"fmt"
	"testing"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
)

// firstRanker finds the first passage for every query and remembers how many it was asked.
type firstRanker struct{ asked []int }

func (r *firstRanker) Search(_ context.Context, queries []retort.Query, _ int) ([][]mine.Hit, error) {
	r.asked = append(r.asked, len(queries))
	hits := make([][]mine.Hit, len(queries))
	for i := range hits {
		hits[i] = []mine.Hit{{Index: 0, Score: 1}}
	}
	return hits, nil
}

func TestMeasurementAsksForNoBlockTwice(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "p", Text: "text"}})
	require.NoError(t, err)
	c := &eval.Collection{Corpus: corpus, Qrels: eval.Qrels{}}
	for i := range 2*measureBlock + 9 {
		q := retort.Query{ID: fmt.Sprintf("q%03d", i), Text: "text"}
		c.Queries = append(c.Queries, q)
		c.Qrels[q.ID] = map[string]int{"p": 1}
	}
	for have, asked := range map[int][]int{
		0: {measureBlock, measureBlock, 9}, measureBlock: {measureBlock, 9}, measureBlock + 3: {measureBlock, 9},
		2*measureBlock + 8: {9}, 2*measureBlock + 9: nil,
	} {
		ranker := &firstRanker{}
		emitted := have
		m := &measurement{progress: func(int, int) {}, have: have, out: func(r any) error {
			require.Equal(t, fmt.Sprintf("q%03d", emitted), r.(results.Record).Query)
			emitted++
			return nil
		}}
		require.NoError(t, m.system(t.Context(), Set{Name: "set", Collection: c}, "bm25", ranker))
		require.Equal(t, asked, ranker.asked, have)
		require.Equal(t, len(c.Queries), emitted)
	}
}
