package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
)

// passageQueries are the first passages as queries, judged to be answered by the passage after them.
func passageQueries(t *testing.T, p *stages, n int) ([]retort.Query, eval.Qrels) {
	t.Helper()
	var queries []retort.Query
	qrels := eval.Qrels{}
	for i := range n {
		at, err := p.Corpus.At(i)
		require.NoError(t, err)
		next, err := p.Corpus.At(i + 8) // shares the first word
		require.NoError(t, err)
		queries = append(queries, retort.Query{ID: at.ID, Text: at.Text})
		qrels[at.ID] = map[string]int{next.ID: 1}
	}
	return queries, qrels
}

func TestAQueryThatIsAPassageIsNotInItsOwnList(t *testing.T) {
	p := pipeline(t)
	queries, _ := passageQueries(t, p, 5)
	queries = append(queries, retort.Query{ID: "p9", Text: "alpha and gamma"})
	var funnel Funnel
	lists, err := p.MakeLists(t.Context(), queries, &funnel)
	require.NoError(t, err)
	require.Equal(t, 5, funnel.Themselves)
	require.Len(t, lists, 6)
	for _, l := range lists {
		if l.Query.ID != "p9" {
			require.NotContains(t, l.IDs, l.Query.ID)
		}
		require.Len(t, l.IDs, 5, "another passage is in its place")
	}
}

func TestAQueryThatIsAPassageIsMeasuredWithoutIt(t *testing.T) {
	p := pipeline(t)
	queries, qrels := passageQueries(t, p, 5)
	c, err := eval.NewCollection(p.Corpus, queries, qrels)
	require.NoError(t, err)
	require.Len(t, c.Itself, 5)

	got, err := judgedQueries(c, true)(t.Context(), p.Student)
	require.NoError(t, err)
	dense, err := mine.NewDenseVectors(p.Student.(encoder.Encoder), p.Vectors)
	require.NoError(t, err)
	rankings, err := dense.Search(t.Context(), c.Queries, p.Corpus.Len())
	require.NoError(t, err)
	run := eval.Run{}
	for i, q := range c.Queries {
		for _, h := range rankings[i] {
			passage, err := p.Corpus.At(h.Index)
			require.NoError(t, err)
			run[q.ID] = append(run[q.ID], eval.Hit{ID: passage.ID, Score: h.Score})
		}
	}
	with, err := eval.Evaluate(c.Qrels, run, eval.NDCG(cutoff))
	require.NoError(t, err)
	c.Strip(run)
	without, err := eval.Evaluate(c.Qrels, run, eval.NDCG(cutoff))
	require.NoError(t, err)
	require.InDelta(t, without.Mean(eval.NDCG(cutoff)), got, 1e-12)
	require.Greater(t, got, with.Mean(eval.NDCG(cutoff)))

	trials, err := newTrials(t.Context(), c, trialOptions{Depth: 4}, dense)
	require.NoError(t, err)
	for _, trial := range trials {
		require.Len(t, trial.Passages, 4)
		for _, passage := range trial.Passages {
			require.NotEqual(t, trial.Query.ID, passage.ID)
		}
	}
}
