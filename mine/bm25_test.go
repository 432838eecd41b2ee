package mine_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
)

func newBM25(t testing.TB, options mine.BM25Options, texts ...string) *mine.BM25 {
	t.Helper()
	x, err := mine.NewBM25(context.Background(), corpusOf(t, texts...), options)
	require.NoError(t, err)
	return x
}

// Lucene's BM25Similarity by hand. The empty passage has no term, so Lucene's docCount is 3 and the mean length 2:
//
//	idf(cat) = ln(1 + 2.5/1.5) = .980829, idf(dog) = ln(1 + 1.5/2.5) = .470004
//	passage 0: k1 (1 - b + b 3/2) = .9 * 1.2 = 1.08:  .980829 * 2/3.08 + 2 * .470004 * 1/2.08 = 1.088829
//	passage 1: k1 (1 - b + b 1/2) = .9 * .8  = .72:   2 * .470004 * 1/1.72 = .546516
func TestBM25IsLucenesFormula(t *testing.T) {
	x := newBM25(t, mine.BM25Options{}, "cat cat dog", "dog", "bird fish", "")
	rankings, err := x.Search(context.Background(), queriesOf("cat dog dog"), 10)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, indices(rankings[0]))
	require.InDelta(t, 1.088829, rankings[0][0].Score, 2e-6)
	require.InDelta(t, .546516, rankings[0][1].Score, 2e-6)
}

func TestBM25ParametersChangeTheScore(t *testing.T) {
	for _, c := range []struct {
		name  string
		k1, b float64
		want  float64 // of "cat" for passage 0: .980829 * 2 / (2 + k1 (1 - b + b 3/2))
	}{
		{"both zero are .9 and .4", 0, 0, .980829 * 2 / 3.08},
		{"Lucene's own", 1.2, .75, .980829 * 2 / (2 + 1.2*1.375)},
		{"no length", 1.2, 0, .980829 * 2 / 3.2},
		{"all length", 1.2, 1, .980829 * 2 / (2 + 1.2*1.5)},
		{"k1 of 0 counts presence", 0, .4, .980829},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newBM25(t, mine.BM25Options{K1: c.k1, B: c.b}, "cat cat dog", "dog", "bird fish")
			scores, err := x.Score("cat", []int{0})
			require.NoError(t, err)
			require.InDelta(t, c.want, scores[0], 2e-6)
		})
	}
}

func TestBM25BreaksTiesByAscendingIndex(t *testing.T) {
	x := newBM25(t, mine.BM25Options{}, "dog", "cat", "dog", "dog cat", "dog")
	rankings, err := x.Search(context.Background(), queriesOf("dog", "dog"), 2)
	require.NoError(t, err)
	require.Equal(t, []int{0, 2}, indices(rankings[0]))
	require.Equal(t, rankings[0], rankings[1])
}

func TestBM25ReadsTitleAndText(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "a", Title: "Wings"},
		{ID: "b", Title: "Tails", Text: "not a wing"},
	})
	require.NoError(t, err)
	x, err := mine.NewBM25(context.Background(), corpus, mine.BM25Options{})
	require.NoError(t, err)
	rankings, err := x.Search(context.Background(), queriesOf("wing", "tail"), 5)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, indices(rankings[0]), "the shorter first")
	require.Equal(t, []int{1}, indices(rankings[1]))
}

func TestBM25SearchScoreAndScoreAllAgree(t *testing.T) {
	const n = 1500 // more than one block of the index
	x := newBM25(t, mine.BM25Options{}, randomTexts(1, n, 30)...)
	require.Equal(t, n, x.Len())
	queries := queriesOf(randomTexts(2, 40, 6)...)
	rankings, err := x.Search(context.Background(), queries, n)
	require.NoError(t, err)
	all, err := x.ScoreAll(context.Background(), queries)
	require.NoError(t, err)
	everything := make([]int, n)
	for i := range everything {
		everything[i] = n - 1 - i
	}
	for q, query := range queries {
		scores, err := x.Score(query.Text, everything)
		require.NoError(t, err)
		found := 0
		for j, i := range everything {
			require.Equal(t, float64(all.Data[q*all.Stride+i]), scores[j])
			if scores[j] > 0 {
				found++
			}
		}
		require.Len(t, rankings[q], found, "a passage without a common term is no hit")
		for r, h := range rankings[q] {
			require.Equal(t, all.Data[q*all.Stride+h.Index], h.Score)
			if r > 0 {
				before := rankings[q][r-1]
				require.True(t, before.Score > h.Score || before.Score == h.Score && before.Index < h.Index)
			}
		}
		top, err := x.Search(context.Background(), []retort.Query{query}, 7)
		require.NoError(t, err)
		require.Equal(t, rankings[q][:min(7, found)], top[0], "fewer hits, and a query alone")
	}
}

func TestBM25DoesNotDependOnProcessors(t *testing.T) {
	texts, queries := randomTexts(3, 300, 20), queriesOf(randomTexts(4, 20, 5)...)
	var one, four [][]mine.Hit
	search := func(out *[][]mine.Hit) func() {
		return func() {
			rankings, err := newBM25(t, mine.BM25Options{}, texts...).Search(context.Background(), queries, 50)
			require.NoError(t, err)
			*out = rankings
		}
	}
	withProcs(t, 1, search(&one))
	withProcs(t, 4, search(&four))
	require.Equal(t, one, four)
}

func TestBM25OfQueriesWithoutTermsFindsNothing(t *testing.T) {
	x := newBM25(t, mine.BM25Options{}, "cat", "dog")
	rankings, err := x.Search(context.Background(), queriesOf("", "the of", "unknown", "?!"), 5)
	require.NoError(t, err)
	require.Len(t, rankings, 4)
	for _, r := range rankings {
		require.Empty(t, r)
	}
	scores, err := x.Score("the", []int{1, 0})
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0}, scores)
	none, err := x.Search(context.Background(), nil, 5)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestBM25OfPassagesWithoutTermsFindsNothing(t *testing.T) {
	x := newBM25(t, mine.BM25Options{}, "the", "", "of")
	rankings, err := x.Search(context.Background(), queriesOf("the cat"), 5)
	require.NoError(t, err)
	require.Empty(t, rankings[0])
}

type fields struct{}

func (fields) Terms(text string) []string { return strings.Fields(text) }

func TestBM25UsesTheAnalyzerItIsGiven(t *testing.T) {
	queries := queriesOf("the", "Cats", "server")
	for _, c := range []struct {
		name     string
		analyzer mine.Analyzer
		want     [3]int // number of hits
	}{
		{"English", nil, [3]int{0, 1, 0}},
		{"Code", mine.Code(), [3]int{0, 1, 1}},
		{"one's own", fields{}, [3]int{1, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newBM25(t, mine.BM25Options{Analyzer: c.analyzer}, "the cat", "HTTPServer")
			rankings, err := x.Search(context.Background(), queries, 5)
			require.NoError(t, err)
			for i, r := range rankings {
				require.Len(t, r, c.want[i], queries[i].Text)
			}
		})
	}
}

func TestBM25BadInputIsAnError(t *testing.T) {
	ctx := context.Background()
	corpus := corpusOf(t, "cat", "dog")
	x, err := mine.NewBM25(ctx, corpus, mine.BM25Options{})
	require.NoError(t, err)
	build := func(c retort.Corpus, o mine.BM25Options) error { _, err := mine.NewBM25(ctx, c, o); return err }
	search := func(k int) error { _, err := x.Search(ctx, queriesOf("cat"), k); return err }
	score := func(i int) error { _, err := x.Score("cat", []int{0, i}); return err }
	for _, c := range []struct {
		name string
		err  error
		says string
	}{
		{"no passages", build(corpusOf(t), mine.BM25Options{}), "the corpus is empty"},
		{"negative k1", build(corpus, mine.BM25Options{K1: -1}), "BM25Options.K1"},
		{"k1 not a number", build(corpus, mine.BM25Options{K1: math.NaN()}), "BM25Options.K1"},
		{"infinite k1", build(corpus, mine.BM25Options{K1: math.Inf(1)}), "BM25Options.K1"},
		{"b above 1", build(corpus, mine.BM25Options{K1: 1, B: 1.1}), "BM25Options.B"},
		{"a budget of nothing", build(corpus, mine.BM25Options{MemoryBudget: 1000}), "BM25Options.MemoryBudget"},
		{"b not a number", build(corpus, mine.BM25Options{K1: 1, B: math.NaN()}), "BM25Options.B"},
		{"k of 0", search(0), "k is 0"},
		{"negative k", search(-3), "k is -3"},
		{"index too high", score(2), "passage index 2 is out of range: the corpus has 2 passages"},
		{"negative index", score(-1), "passage index -1 is out of range: the corpus has 2 passages"},
	} {
		t.Run(c.name, func(t *testing.T) { require.ErrorContains(t, c.err, c.says) })
	}
	require.ErrorIs(t, build(brokenCorpus{corpus}, mine.BM25Options{}), errUnreadable)
}

func TestBM25StopsWhenTheContextEnds(t *testing.T) {
	x := newBM25(t, mine.BM25Options{}, "cat")
	_, err := mine.NewBM25(cancelled(), corpusOf(t, "cat"), mine.BM25Options{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = x.Search(cancelled(), queriesOf("cat"), 1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = x.ScoreAll(cancelled(), queriesOf("cat"))
	require.ErrorIs(t, err, context.Canceled)
}
