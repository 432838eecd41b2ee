package eval

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// Agrees with pytrec_eval after BEIR's removal of identical ids: testdata/make_collections.py.
func TestCollectionsWithGapsAgreeWithTrecEval(t *testing.T) {
	text, err := os.ReadFile("testdata/collections.json")
	require.NoError(t, err)
	var goldens []struct {
		Passages, Queries   map[string]string
		Qrels               Qrels
		Run                 map[string]map[string]float32
		Values              map[string]map[string]float64
		Itself, Unreachable []string
	}
	require.NoError(t, json.Unmarshal(text, &goldens))
	for i, g := range goldens {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var passages []retort.Passage
			for id, text := range g.Passages {
				passages = append(passages, retort.Passage{ID: id, Text: text})
			}
			corpus, err := retort.NewCorpus(passages)
			require.NoError(t, err)
			var queries []retort.Query
			for id, text := range g.Queries {
				queries = append(queries, retort.Query{ID: id, Text: text})
			}
			c, err := NewCollection(corpus, queries, g.Qrels)
			require.NoError(t, err)
			require.Equal(t, g.Unreachable, c.Missing.Passages)
			require.Equal(t, []string{"unasked"}, c.Missing.Queries)
			require.Contains(t, g.Qrels, "unasked", "the judgements that are given stay as they are")
			require.Len(t, c.Itself, len(g.Itself))
			for _, id := range g.Itself {
				require.True(t, c.Itself[id])
			}
			run := Run{}
			for query, hits := range g.Run {
				for id, score := range hits {
					run[query] = append(run[query], Hit{id, score})
				}
			}
			c.Strip(run)
			for name := range g.Values[g.Itself[0]] {
				m, err := ParseMetric(name)
				require.NoError(t, err)
				report, err := Evaluate(c.Qrels, run, m)
				require.NoError(t, err)
				require.Len(t, report.Queries, len(g.Values))
				for at, query := range report.Queries {
					require.InDelta(t, g.Values[query][name], report.Of(m)[at], 1e-12, "%s of %s", name, query)
				}
			}
		})
	}
}

func TestWhichQueriesArePassagesThemselves(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "same", Text: "Some  text."},
		{ID: "titled", Title: "A title", Text: "and text"},
		{ID: "other", Text: "another text"},
		{ID: "answer", Text: "a fact"},
	})
	require.NoError(t, err)
	queries := []retort.Query{
		{ID: "same", Text: "some text.\n"},
		{ID: "titled", Text: "a title and text"},
		{ID: "other", Text: "a question"},
		{ID: "answer", Text: "a fact"},
		{ID: "q", Text: "x"},
	}
	qrels := Qrels{
		"same": {"other": 1}, "titled": {"other": 1, "titled": 0}, "other": {"same": 1},
		"answer": {"answer": 1}, "q": {"same": 1},
	}
	c, err := NewCollection(corpus, queries, qrels)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"same": true, "titled": true}, c.Itself)
	for rule, want := range map[IdenticalIDs]struct{ itself, others int }{
		IgnoreSameText: {2, 2}, IgnoreSameID: {4, 0}, IgnoreNone: {0, 4},
	} {
		others, err := c.SetIdentical(rule)
		require.NoError(t, err)
		require.Len(t, c.Itself, want.itself)
		require.Equal(t, want.others, others)
	}
}

func TestJudgementsOfAnotherCorpusAreRefused(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "x"}})
	require.NoError(t, err)
	queries := []retort.Query{{ID: "q", Text: "x"}}
	_, err = NewCollection(corpus, queries, Qrels{"q": {"z": 1, "y": 1}})
	require.ErrorContains(t, err, "the qrels name 2 passages that are not in the corpus")
	_, err = NewCollection(corpus, queries, Qrels{"r": {"a": 1}})
	require.ErrorContains(t, err, "the qrels name 1 queries that are not in the queries")
	c, err := NewCollection(corpus, queries, Qrels{"q": {"a": 1, "z": 1}, "r": {"a": 1}})
	require.NoError(t, err)
	require.Len(t, c.Missing.Warnings(), 2)
	require.ErrorContains(t, c.Missing.Err(), `("z")`)
	require.NoError(t, Gaps{}.Err())
}

func TestIDsThatARunCannotHoldAreFoundBeforeTheRanking(t *testing.T) {
	for _, c := range []struct{ query, passage, want string }{
		{"q", "a", ""},
		{"q 1", "a", `query id "q 1" contains white space`},
		{"q", "a\tb", `passage id "a\tb" contains white space`},
		{"q", "a\u00a0b", ""},
	} {
		corpus, err := retort.NewCorpus([]retort.Passage{{ID: c.passage, Text: "x"}})
		require.NoError(t, err)
		collection := &Collection{Corpus: corpus, Queries: []retort.Query{{ID: c.query, Text: "x"}}}
		if c.want == "" {
			require.NoError(t, collection.CheckRunIDs())
			require.NoError(t, SaveRun(filepath.Join(t.TempDir(), "run"), Run{c.query: {{c.passage, 1}}}, "tag"))
			continue
		}
		require.ErrorContains(t, collection.CheckRunIDs(), c.want)
	}
}
