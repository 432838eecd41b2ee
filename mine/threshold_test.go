package mine

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/encodertest"
)

// thresholdCorpus returns passages with and without words in common, some of them the same, and queries out of them.
func thresholdCorpus(t testing.TB, n int) (retort.Corpus, []retort.Query) {
	var texts []string
	for _, terms := range zipfPassages(n) {
		texts = append(texts, strings.Join(terms, " "))
	}
	r := rand.New(rand.NewPCG(5, 5))
	var queries []retort.Query
	for range 12 {
		words := strings.Fields(texts[r.IntN(n)])
		queries = append(queries, retort.Query{ID: "q", Text: strings.Join(words[:len(words)/2], " ")})
	}
	return corpusOfTexts(t, texts), append(queries, retort.Query{ID: "q", Text: "unknown"}, retort.Query{ID: "q"},
		retort.Query{ID: "q", Text: "w2900"})
}

func thresholdFusion(t testing.TB, corpus retort.Corpus, depth int) *ZScoreFusion {
	enc, err := encodertest.New(encodertest.Options{Dim: 24})
	require.NoError(t, err)
	bm25, err := NewBM25(context.Background(), corpus, BM25Options{})
	require.NoError(t, err)
	dense, err := NewDense(context.Background(), enc, corpus, nil)
	require.NoError(t, err)
	f, err := NewZScoreFusion(depth, bm25, dense)
	require.NoError(t, err)
	return f
}

func TestFusionByThresholdIsTheFusionOfAllScores(t *testing.T) {
	ctx := context.Background()
	corpus, queries := thresholdCorpus(t, 1000)
	for _, depth := range []int{1, 20} {
		f := thresholdFusion(t, corpus, depth)
		rankers, ok := f.candidateRankers()
		require.True(t, ok)
		for _, k := range []int{1, 30} {
			want, err := f.Search(ctx, queries, k)
			require.NoError(t, err)
			settled := 0
			for _, candidates := range []int{1, 300, 999, 2000} {
				f.candidates = candidates
				found, err := f.searchByThreshold(ctx, rankers, queries, k)
				require.NoError(t, err)
				settled = 0
				for q, ranking := range found {
					if ranking != nil {
						settled++
						require.Equal(t, want[q], ranking, "depth %d, k %d, %d candidates, query %q", depth, k, candidates,
							queries[q].Text)
					}
				}
				f.large = 0
				got, err := f.Search(ctx, queries, k)
				require.NoError(t, err)
				require.Equal(t, want, got)
				f.large = thresholdPassages
			}
			require.Equal(t, len(queries), settled, "with all passages as candidates")
		}
	}
}

func TestFusionByThresholdSettlesMostQueries(t *testing.T) {
	corpus, queries := thresholdCorpus(t, 3000)
	f := thresholdFusion(t, corpus, 20)
	f.candidates = 500
	rankers, _ := f.candidateRankers()
	found, err := f.searchByThreshold(context.Background(), rankers, queries, 10)
	require.NoError(t, err)
	settled := 0
	for _, ranking := range found {
		if ranking != nil {
			settled++
		}
	}
	require.Greater(t, settled, len(queries)*3/4)
}

func TestFusionWithAnotherScorerReadsAllScores(t *testing.T) {
	corpus, _ := thresholdCorpus(t, 100)
	f := thresholdFusion(t, corpus, 20)
	nested, err := NewZScoreFusion(20, f, f.rankers[0])
	require.NoError(t, err)
	_, ok := nested.candidateRankers()
	require.False(t, ok)
}

// How often the threshold settles a query of a judged collection, when it were large.
func TestFusionByThresholdOnJudgedCollections(t *testing.T) {
	root := os.Getenv("RETORT_COLLECTIONS")
	if root == "" {
		t.Skip("set RETORT_COLLECTIONS to a folder with scifact, nfcorpus and cranfield in BEIR layout to run this")
	}
	ctx := context.Background()
	for _, name := range []string{"scifact", "nfcorpus", "cranfield"} {
		corpus, err := retort.LoadCorpus(root + "/" + name + "/corpus.jsonl")
		require.NoError(t, err)
		queries, err := retort.LoadQueries(root + "/" + name + "/queries.jsonl")
		require.NoError(t, err)
		f := thresholdFusion(t, corpus, 100)
		want, err := f.Search(ctx, queries, 100)
		require.NoError(t, err)
		rankers, _ := f.candidateRankers()
		found, err := f.searchByThreshold(ctx, rankers, queries, 100)
		require.NoError(t, err)
		settled := 0
		for q, ranking := range found {
			if ranking != nil {
				settled++
				require.Equal(t, want[q], ranking)
			}
		}
		t.Logf("%s: %d of %d queries settled by the first %d of each ranker of %d passages", name, settled, len(queries),
			thresholdDepth, corpus.Len())
	}
}

func corpusOfTexts(t testing.TB, texts []string) retort.Corpus {
	t.Helper()
	passages := make([]retort.Passage, len(texts))
	for i, text := range texts {
		passages[i] = retort.Passage{ID: strconv.Itoa(i), Text: text}
	}
	c, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return c
}
