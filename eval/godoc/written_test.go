package godoc

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
)

func allWritten(tb testing.TB) []writtenQuery {
	tb.Helper()
	queries, err := parseWritten(writtenJSONL, "written.jsonl")
	require.NoError(tb, err)
	return queries
}

// importPath returns the package of a passage's id.
func importPath(id string) string {
	slash := strings.LastIndex(id, "/") + 1
	name, _, _ := strings.Cut(id[slash:], ".")
	return id[:slash] + name
}

func TestWrittenQueriesAreManyInBothSplits(t *testing.T) {
	count := map[string]int{}
	texts := map[string]string{}
	for _, q := range allWritten(t) {
		count[splits[q.Group]]++
		require.Equal(t, strings.TrimSpace(q.Text), q.Text, q.ID)
		require.Empty(t, texts[strings.ToLower(q.Text)], "%s asks the same as another", q.ID)
		texts[strings.ToLower(q.Text)] = q.ID
		require.LessOrEqual(t, len(q.Relevant), 6, q.ID)
		require.True(t, strings.HasPrefix(q.ID, q.Group+"-"), q.ID)
	}
	t.Logf("queries: %v", count)
	require.GreaterOrEqual(t, count[dev]+count[test], 400)
	require.GreaterOrEqual(t, count[dev], 180)
	require.GreaterOrEqual(t, count[test], 180)
}

func TestNoPackageIsRelevantInBothSplits(t *testing.T) {
	home := map[string]string{}
	for _, q := range allWritten(t) {
		for _, id := range q.Relevant {
			p, split := importPath(id), splits[q.Group]
			if home[p] == "" {
				home[p] = split
			}
			require.Equal(t, home[p], split, "query %s: package %s is in the other split", q.ID, p)
		}
	}
}

func TestNoWrittenQueryNamesItsAnswer(t *testing.T) {
	for _, q := range allWritten(t) {
		for _, id := range q.Relevant {
			name := id[strings.LastIndex(id, "/")+1:]
			require.False(t, strings.Contains(name, ".") && strings.Contains(q.Text, name), "%s names %s", q.ID, name)
		}
	}
}

func TestEveryJudgedSymbolIsInThisMachinesGo(t *testing.T) {
	goroot, corpus := realCorpus(t)
	version, err := goVersion(goroot)
	require.NoError(t, err)
	var unknown, dropped []string
	n := 0
	for _, split := range []string{dev, test} {
		set, err := writtenQueries(split, corpus)
		require.NoError(t, err)
		n += len(set.Queries)
		unknown = append(unknown, set.unknown...)
		dropped = append(dropped, set.dropped...)
	}
	t.Logf("%s: %d queries, unknown symbols %v, dropped queries %v", version, n, unknown, dropped)
	if strings.HasPrefix(version, "go1.26") { // what they were written for
		require.Empty(t, unknown)
		require.Empty(t, dropped)
	}
	require.GreaterOrEqual(t, n, 560)
	require.Less(t, len(unknown), 60)
}

func TestWrittenQueriesDropWhatTheCorpusLacks(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "strings.Split", Text: "x"}, {ID: "io.EOF", Text: "x"},
	})
	require.NoError(t, err)
	set, err := writtenQueries(dev, corpus)
	require.NoError(t, err)
	require.Equal(t, []retort.Query{{ID: "text-001", Text: "cut a comma separated string into pieces"}}, set.Queries)
	require.Equal(t, eval.Qrels{"text-001": {"strings.Split": 1}}, set.Qrels)
	require.Contains(t, set.unknown, "strings.SplitN")
	require.True(t, slices.IsSorted(set.unknown))
	require.Equal(t, len(slices.Compact(slices.Clone(set.unknown))), len(set.unknown))
	require.NotContains(t, set.unknown, "io.ReadAll", "of the other split")
	require.Contains(t, set.dropped, "text-002")
}

func TestWrittenQueriesOfNoSplit(t *testing.T) {
	_, err := writtenQueries("train", &retort.MemoryCorpus{})
	require.ErrorContains(t, err, `split of the written queries is "train"`)
}

func TestMalformedWrittenQueriesAreRefusedWithTheirLine(t *testing.T) {
	const good = `{"_id":"text-1","text":"q","group":"text","relevant":["a.B"]}` + "\n"
	for _, c := range []struct{ name, line, want string }{
		{"no json", "{", "malformed"},
		{"another field", `{"_id":"text-2","txt":"q"}`, "txt"},
		{"two values", `{"_id":"text-2","text":"q","group":"text","relevant":["a"]} {}`, "after top-level value"},
		{"no id", `{"text":"q","group":"text","relevant":["a"]}`, "_id"},
		{"repeated id", good, "duplicate id"},
		{"no text", `{"_id":"text-2","group":"text","relevant":["a"]}`, "no text"},
		{"unknown group", `{"_id":"text-2","text":"q","group":"misc","relevant":["a"]}`, `"misc"`},
		{"no answer", `{"_id":"text-2","text":"q","group":"text","relevant":[]}`, "no relevant"},
		{"empty answer", `{"_id":"text-2","text":"q","group":"text","relevant":[""]}`, "empty or repeated"},
		{"repeated answer", `{"_id":"text-2","text":"q","group":"text","relevant":["a","a"]}`, "empty or repeated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseWritten([]byte(good+"\n"+c.line), "f.jsonl")
			require.ErrorContains(t, err, "f.jsonl:3: ")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func FuzzParseWritten(f *testing.F) {
	f.Add([]byte(`{"_id":"text-1","text":"q","group":"text","relevant":["a.B"]}`))
	f.Add([]byte("\n{}\n"))
	f.Add([]byte("{\"_id\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		queries, err := parseWritten(data, "fuzz")
		if err != nil {
			require.ErrorContains(t, err, "fuzz:")
			return
		}
		for _, q := range queries {
			require.NotEmpty(t, q.ID)
			require.NotEmpty(t, q.Relevant)
			require.NotEmpty(t, splits[q.Group])
		}
	})
}
