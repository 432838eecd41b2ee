package retort_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// loaders are the three Load functions without their values, for what they have in common.
var loaders = map[string]func(path string) error{
	"corpus":  func(path string) error { _, err := retort.LoadCorpus(path); return err },
	"queries": func(path string) error { _, err := retort.LoadQueries(path); return err },
	"lists":   func(path string) error { _, err := retort.LoadLists(path); return err },
}

func TestSaveThenLoadCorpus(t *testing.T) {
	passages := []retort.Passage{
		{ID: "a<b>&c", Title: "<h1>", Text: "x && y > z"},
		{ID: "日本", Title: "É😀", Text: "line\nbreak\u2028\ttab \"quoted\" \\"},
		{ID: "empty"},
	}
	want, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "corpus.jsonl")
	require.NoError(t, retort.SaveCorpus(path, want))
	got, err := retort.LoadCorpus(path)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.True(t, strings.HasPrefix(read(t, path), `{"_id":"a<b>&c","title":"<h1>","text":"x && y > z"}`+"\n"))
}

func TestSaveThenLoadQueries(t *testing.T) {
	want := []retort.Query{
		{ID: "1", Text: "is a < b & c?"},
		{ID: "2", Text: "日本 é", Type: "question", Source: "p<1>", Origin: "sentence"},
	}
	path := filepath.Join(t.TempDir(), "queries.jsonl")
	require.NoError(t, retort.SaveQueries(path, want))
	got, err := retort.LoadQueries(path)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.True(t, strings.HasPrefix(read(t, path), `{"_id":"1","text":"is a < b & c?"}`+"\n"))
}

func TestSaveThenLoadLists(t *testing.T) {
	want := []retort.List{
		{Query: retort.Query{ID: "1", Text: "a < b"}, IDs: []string{"p<1>", "é"}},
		{
			Query: retort.Query{ID: "2", Text: "b"}, IDs: []string{"x", "y", "z"},
			Scores: []float64{1.0 / 3, -math.MaxFloat64, math.SmallestNonzeroFloat64}, Weight: 0.1,
		},
	}
	path := filepath.Join(t.TempDir(), "lists.jsonl")
	require.NoError(t, retort.SaveLists(path, want))
	got, err := retort.LoadLists(path)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.True(t, strings.HasPrefix(read(t, path), `{"query":{"_id":"1","text":"a < b"},"ids":["p<1>","é"]}`+"\n"))
}

func TestLoadReadsBEIRFields(t *testing.T) {
	c, err := retort.LoadCorpus(write(t, "\ufeff"+`{"_id":"1","title":"T","text":"x","metadata":{"url":""}}`+"\r\n\r\n"+
		`{"_id":"2","text":"y"}`))
	require.NoError(t, err)
	require.Equal(t, 2, c.Len())
	p, err := c.At(1)
	require.NoError(t, err)
	require.Equal(t, retort.Passage{ID: "2", Text: "y"}, p)
}

func TestLoadErrorsNameTheFile(t *testing.T) {
	for name, load := range loaders {
		t.Run(name, func(t *testing.T) {
			missing := filepath.Join(t.TempDir(), "missing.jsonl")
			err := load(missing)
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.ErrorContains(t, err, missing)

			for content, want := range map[string]string{
				"":       ": no records",
				"\n \n":  ": no records",
				"\n{":    ":2: malformed JSON",
				"\n{}":   `:2: no "_id"`,
				"\n\xff": ":2: invalid UTF-8",
			} {
				path := write(t, content)
				require.ErrorContains(t, load(path), path+want)
			}
		})
	}
}

func TestLoadRefusesRepeatedIDsAndNamesBothRecords(t *testing.T) {
	for name, line := range map[string]string{
		"corpus":  `{"_id":"ID","text":"x"}`,
		"queries": `{"_id":"ID","text":"x"}`,
		"lists":   `{"query":{"_id":"ID","text":"x"},"ids":["p"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, id := range []string{"a", "b", "c", "b"} {
				lines = append(lines, strings.Replace(line, "ID", id, 1))
			}
			path := write(t, strings.Join(lines, "\n"))
			require.EqualError(t, loaders[name](path), path+`: record 4: id "b" is already used by record 2`)
		})
	}
}

func TestLoadQueriesRefusesAQueryWithoutText(t *testing.T) {
	path := write(t, `{"_id":"a","text":"x"}`+"\n"+`{"_id":"b"}`)
	_, err := retort.LoadQueries(path)
	require.EqualError(t, err, path+`:2: query "b" has no text`)
}

func TestLoadListsRefusesBadLists(t *testing.T) {
	for _, c := range []struct {
		name, rest, want string
	}{
		{"fewer scores than ids", `"ids":["a","b"],"scores":[1]`, `list of query "q" has 2 ids and 1 scores`},
		{"more scores than ids", `"ids":["a"],"scores":[1,2]`, `list of query "q" has 1 ids and 2 scores`},
		{"no scores for the ids", `"ids":["a"],"scores":[]`, `list of query "q" has 1 ids and 0 scores`},
		{"a passage twice", `"ids":["a","b","a"],"scores":[3,2,1]`, `list of query "q" contains passage "a" twice`},
		{
			"negative weight", `"ids":["a"],"weight":-0.5`,
			`list of query "q" has weight -0.5, want a finite number of at least 0`,
		},
		{"NaN score", `"ids":["a"],"scores":[NaN]`, "malformed JSON"},
		{"NaN score as text", `"ids":["a"],"scores":["NaN"]`, `"/scores/0": a string where a number is wanted`},
		{"infinite score", `"ids":["a"],"scores":[1e999]`, `"/scores/0": 1e999 is out of the range of float64`},
		{"infinite weight", `"ids":["a"],"weight":1e999`, `"/weight": 1e999 is out of the range of float64`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "\n"+`{"query":{"_id":"q","text":"x"},`+c.rest+"}\n")
			_, err := retort.LoadLists(path)
			require.ErrorContains(t, err, path+":2: "+c.want)
		})
	}
	path := write(t, `{"query":{"_id":"q"},"ids":["a"]}`)
	_, err := retort.LoadLists(path)
	require.EqualError(t, err, path+`:1: query "q" has no text`)
}

func TestSaveRefusesWhatLoadWouldRefuseAndLeavesTheOldFile(t *testing.T) {
	query := func(id string) retort.Query { return retort.Query{ID: id, Text: "x"} }
	list := func(change func(*retort.List)) []retort.List {
		l := retort.List{Query: query("2"), IDs: []string{"a", "b"}, Scores: []float64{2, 1}}
		change(&l)
		return []retort.List{{Query: query("1"), IDs: []string{"a"}}, l}
	}
	passages := func(all ...retort.Passage) func(string) error {
		return func(path string) error { return retort.SaveCorpus(path, looseCorpus(all)) }
	}
	queries := func(all ...retort.Query) func(string) error {
		return func(path string) error { return retort.SaveQueries(path, all) }
	}
	lists := func(change func(*retort.List)) func(string) error {
		return func(path string) error { return retort.SaveLists(path, list(change)) }
	}
	for _, c := range []struct {
		name string
		save func(path string) error
		want string
	}{
		{"empty corpus", passages(), "no records"},
		{"passage without id", passages(retort.Passage{ID: "a"}, retort.Passage{Text: "x"}), `record 2: no "_id"`},
		{
			"two passages of one id", passages(retort.Passage{ID: "a"}, retort.Passage{ID: "b"}, retort.Passage{ID: "a"}),
			`record 3: id "a" is already used by record 1`,
		},
		{"passage of broken text", passages(retort.Passage{ID: "a", Text: "\xff"}), `record 1: id "a": invalid UTF-8`},
		{"passage of broken id", passages(retort.Passage{ID: "\xff"}), `record 1: id "\xff": invalid UTF-8`},

		{"no queries", queries(), "no records"},
		{"query without id", queries(query("1"), query("")), `record 2: no "_id"`},
		{"query without text", queries(query("1"), retort.Query{ID: "2"}), `record 2: query "2" has no text`},
		{
			"two queries of one id", queries(query("1"), query("2"), query("2")), `record 3: id "2" is already used by record 2`,
		},
		{
			"query of broken source", queries(retort.Query{ID: "1", Text: "x", Source: "\xff"}),
			`record 1: id "1": invalid UTF-8`,
		},

		{"no lists", func(path string) error { return retort.SaveLists(path, nil) }, "no records"},
		{"list of a query without id", lists(func(l *retort.List) { l.Query.ID = "" }), `record 2: no "_id"`},
		{
			"list of a query without text", lists(func(l *retort.List) { l.Query.Text = "" }), `record 2: query "2" has no text`,
		},
		{
			"two lists of one query", lists(func(l *retort.List) { l.Query.ID = "1" }),
			`record 2: id "1" is already used by record 1`,
		},
		{
			"fewer scores", lists(func(l *retort.List) { l.Scores = l.Scores[:1] }),
			`record 2: list of query "2" has 2 ids and 1 scores`,
		},
		{
			"more scores", lists(func(l *retort.List) { l.IDs = l.IDs[:1] }),
			`record 2: list of query "2" has 1 ids and 2 scores`,
		},
		{
			"a passage twice", lists(func(l *retort.List) { l.IDs[1] = "a" }),
			`record 2: list of query "2" contains passage "a" twice`,
		},
		{
			"NaN", lists(func(l *retort.List) { l.Scores[1] = math.NaN() }),
			`record 2: list of query "2" has score NaN for passage "b", want a finite number`,
		},
		{
			"infinite", lists(func(l *retort.List) { l.Scores[0] = math.Inf(-1) }),
			`record 2: list of query "2" has score -Inf for passage "a", want a finite number`,
		},
		{
			"negative weight", lists(func(l *retort.List) { l.Weight = -1 }),
			`record 2: list of query "2" has weight -1, want a finite number of at least 0`,
		},
		{
			"infinite weight", lists(func(l *retort.List) { l.Weight = math.Inf(1) }),
			`record 2: list of query "2" has weight +Inf, want a finite number of at least 0`,
		},
		{"passage id of broken text", lists(func(l *retort.List) { l.IDs[1] = "\xff" }), `record 2: id "2": invalid UTF-8`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "old")
			require.EqualError(t, c.save(path), "write "+path+": "+c.want)
			require.Equal(t, "old", read(t, path))
			entries, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, entries, 1, "a temporary file is left")
		})
	}
}

// looseCorpus is a Corpus of a user's own that does not check its passages.
type looseCorpus []retort.Passage

func (c looseCorpus) Len() int                         { return len(c) }
func (c looseCorpus) At(i int) (retort.Passage, error) { return c[i], nil }

func (c looseCorpus) Index(id string) (int, bool) {
	i := slices.IndexFunc(c, func(p retort.Passage) bool { return p.ID == id })
	return i, i >= 0
}

func TestSaveCorpusRefusesACorpusThatDoesNotKnowItsOwnIDs(t *testing.T) {
	c, err := retort.NewCorpus([]retort.Passage{{ID: "a"}, {ID: "b"}})
	require.NoError(t, err)
	path := write(t, "old")
	require.ErrorContains(t, retort.SaveCorpus(path, forgetfulCorpus{c}),
		`record 1: Corpus.Index does not find the id "a"`)
	require.Equal(t, "old", read(t, path))
}

type forgetfulCorpus struct{ *retort.MemoryCorpus }

func (forgetfulCorpus) Index(string) (int, bool) { return 0, false }

var errTorn = errors.New("page torn out")

// tornCorpus fails at its second passage.
type tornCorpus struct{ *retort.MemoryCorpus }

func (c tornCorpus) At(i int) (retort.Passage, error) {
	if i == 1 {
		return retort.Passage{}, errTorn
	}
	return c.MemoryCorpus.At(i)
}

func TestSaveCorpusThatCannotBeReadLeavesTheOldFile(t *testing.T) {
	c, err := retort.NewCorpus([]retort.Passage{{ID: "a"}, {ID: "b"}, {ID: "c"}})
	require.NoError(t, err)
	path := write(t, "old")
	require.ErrorIs(t, retort.SaveCorpus(path, tornCorpus{c}), errTorn)
	require.Equal(t, "old", read(t, path))
}
