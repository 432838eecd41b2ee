package pipeline

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
)

// The collections in testdata were written for this test.
func languageCollection(t *testing.T, name string) *eval.Collection {
	t.Helper()
	c, err := eval.LoadCollection(filepath.Join("testdata", name), "test")
	require.NoError(t, err)
	return c
}

// bm25NDCG is the nDCG@10 of BM25.
func bm25NDCG(t *testing.T, c *eval.Collection, analyzer mine.Analyzer) float64 {
	t.Helper()
	index, err := mine.NewBM25(t.Context(), c.Corpus, mine.BM25Options{Analyzer: analyzer})
	require.NoError(t, err)
	_, report, err := measure(t.Context(), index, c)
	require.NoError(t, err)
	return report.Mean(eval.NDCG(10))
}

func TestTheAnalyzerOfTheLanguageBeatsEnglish(t *testing.T) {
	for _, name := range []string{"german", "chinese"} {
		t.Run(name, func(t *testing.T) {
			c := languageCollection(t, name)
			detected, _, err := mine.DetectAnalyzer(t.Context(), c.Corpus)
			require.NoError(t, err)
			own, english := bm25NDCG(t, c, detected), bm25NDCG(t, c, mine.English())
			t.Logf("nDCG@10 of %d queries: analyzer %s %.3f, english %.3f", len(c.Queries), detected, own, english)
			require.Greater(t, own, english+.02)
		})
	}
}

func TestQueriesOfOtherLanguagesFindTheirPassages(t *testing.T) {
	for _, name := range []string{"german", "chinese"} {
		t.Run(name, func(t *testing.T) {
			c := languageCollection(t, name)
			g, err := generate.NewExtractive(t.Context(), c.Corpus, generate.Options{Seed: 1})
			require.NoError(t, err)
			var queries []retort.Query
			types := map[string]int{}
			for q, err := range generate.All(t.Context(), g, c.Corpus, 1) {
				require.NoError(t, err)
				queries = append(queries, q)
				types[q.Type]++
			}
			require.Greater(t, len(queries), 3*c.Corpus.Len())
			for _, wanted := range []string{generate.TypeSentence, generate.TypeTitle, generate.TypePhrase, generate.TypeKeywords} {
				require.Positive(t, types[wanted], wanted)
			}
			require.Zero(t, types[generate.TypeHowTo])
			analyzer, _, err := mine.DetectAnalyzer(t.Context(), c.Corpus)
			require.NoError(t, err)
			index, err := mine.NewBM25(t.Context(), c.Corpus, mine.BM25Options{Analyzer: analyzer})
			require.NoError(t, err)
			rankings, err := index.Search(t.Context(), queries, 1)
			require.NoError(t, err)
			found := 0
			for i, hits := range rankings {
				if len(hits) == 1 {
					p, err := c.Corpus.At(hits[0].Index)
					require.NoError(t, err)
					if p.ID == queries[i].Source {
						found++
					}
				}
			}
			t.Logf("%d queries %v, %d find their passage first", len(queries), types, found)
			require.Greater(t, found*10, len(queries)*9)
		})
	}
}

// A whole run: queries, lists, a student that learns, a test on held-out queries.
func TestARunInAnotherLanguage(t *testing.T) {
	for name, analyzer := range map[string]string{"german": "german", "chinese": "cjk"} {
		t.Run(name, func(t *testing.T) {
			c := languageCollection(t, name)
			student, err := encodertest.New(encodertest.Options{Dim: 16, Buckets: 512, Seed: 1})
			require.NoError(t, err)
			var notes []string
			recipe := Recipe{
				Towers: distill.QueryOnly, TeacherCheck: TeacherCheck{Force: true}, Measured: []Set{{Name: "judged", Collection: c}},
				Events: retort.Events{Note: func(text string) { notes = append(notes, text) }},
			}
			out, err := Specialise(t.Context(), student, c.Corpus, recipe)
			require.NoError(t, err)
			require.Greater(t, len(out.Lists), c.Corpus.Len())
			require.NotNil(t, out.Test, "held-out keywords test the student")
			require.Contains(t, notes[0], ": analyzer "+analyzer)
		})
	}
}
