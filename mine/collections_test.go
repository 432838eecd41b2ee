package mine_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
)

// The figures are those of an independent BM25 with Lucene's formula, its 33 English stop words and a Porter-family
// stemmer, over title and text. Gains are the values of the judgements.
func TestBM25ReachesLuceneFiguresOnJudgedCollections(t *testing.T) {
	root := os.Getenv("RETORT_COLLECTIONS")
	if root == "" {
		t.Skip("set RETORT_COLLECTIONS to a folder with scifact, nfcorpus and cranfield in BEIR layout to run this")
	}
	for _, c := range []struct {
		name         string
		k1, b        float64
		ndcg, recall float64
	}{
		{"scifact", .9, .4, .6777, .9253},
		{"scifact", 1.2, .75, .6830, .9282},
		{"nfcorpus", .9, .4, .3200, .2456},
		{"nfcorpus", 1.2, .75, .3210, .2464},
		{"cranfield", .9, .4, .3420, .7212},
		{"cranfield", 1.2, .75, .3590, .7320},
	} {
		t.Run(c.name+" k1="+strconv.FormatFloat(c.k1, 'g', -1, 64), func(t *testing.T) {
			ctx := context.Background()
			corpus, err := retort.LoadCorpus(filepath.Join(root, c.name, "corpus.jsonl"))
			require.NoError(t, err)
			queries, qrels := loadTestQueries(t, filepath.Join(root, c.name))
			index, err := mine.NewBM25(ctx, corpus, mine.BM25Options{K1: c.k1, B: c.b})
			require.NoError(t, err)
			rankings, err := index.Search(ctx, queries, 100)
			require.NoError(t, err)
			var ndcg, recall float64
			for i, q := range queries {
				n, r := measure(corpus, rankings[i], qrels[q.ID])
				ndcg += n / float64(len(queries))
				recall += r / float64(len(queries))
			}
			t.Logf("nDCG@10 %.4f (reference %.4f), R@100 %.4f (reference %.4f), %d queries", ndcg, c.ndcg, recall, c.recall,
				len(queries))
			require.InDelta(t, c.ndcg, ndcg, .005, "nDCG@10")
			require.InDelta(t, c.recall, recall, .005, "R@100")
		})
	}
}

// loadTestQueries returns the queries that have a relevant passage in the test judgements, and those judgements.
func loadTestQueries(t testing.TB, dir string) ([]retort.Query, map[string]map[string]int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "qrels", "test.tsv"))
	require.NoError(t, err)
	qrels := map[string]map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		f := strings.Split(strings.TrimSpace(line), "\t")
		require.Len(t, f, 3)
		grade, err := strconv.Atoi(f[2])
		require.NoError(t, err)
		if grade <= 0 {
			continue
		}
		if qrels[f[0]] == nil {
			qrels[f[0]] = map[string]int{}
		}
		qrels[f[0]][f[1]] = grade
	}
	all, err := retort.LoadQueries(filepath.Join(dir, "queries.jsonl"))
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(q retort.Query) bool { return qrels[q.ID] == nil }), qrels
}

// measure returns nDCG@10 and R@100.
func measure(corpus retort.Corpus, ranking []mine.Hit, relevant map[string]int) (ndcg, recall float64) {
	var dcg, ideal, found float64
	for i, hit := range ranking {
		p, _ := corpus.At(hit.Index)
		grade := relevant[p.ID]
		if grade > 0 {
			found++
		}
		if i < 10 {
			dcg += float64(grade) / math.Log2(float64(i+2))
		}
	}
	var grades []int
	for _, g := range relevant {
		grades = append(grades, g)
	}
	slices.SortFunc(grades, func(a, b int) int { return b - a })
	for i, g := range grades[:min(10, len(grades))] {
		ideal += float64(g) / math.Log2(float64(i+2))
	}
	return dcg / ideal, found / float64(len(relevant))
}
