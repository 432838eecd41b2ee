package results_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/results"
)

func save(t *testing.T, dir string, records []results.Record) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, results.FileName))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, jsonl.Write(f, slices.Values(records)))
}

func record(set, system, query string, ndcg float64) results.Record {
	return results.Record{
		Set: set, System: system, Query: query,
		Metrics: results.Metrics{"ndcg@10": ndcg, "mrr@10": ndcg / 2}, Top: []string{"a", "<b> & é"},
	}
}

func TestLoadReadsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	want := []results.Record{
		record("judged", results.Before, "q1", .5), record("judged", results.After, "q1", 1./3),
		record("known items", results.After, "q1", 0), record("judged", results.After, "q2", 1),
	}
	want[3].Top = []string{}
	save(t, dir, want)
	got, err := results.Load(dir)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []string{"judged", "known items"}, results.Sets(got))
	require.Equal(t, map[string]results.Record{"q1": want[1], "q2": want[3]}, results.Of(got, "judged", results.After))
	require.Empty(t, results.Of(got, "judged", results.Teacher))
}

func TestTheFileIsAsDocumented(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, []results.Record{record("judged", results.Before, "q1", .5)})
	text, err := os.ReadFile(filepath.Join(dir, "evaluate.jsonl"))
	require.NoError(t, err)
	require.Equal(t, `{"set":"judged","system":"before","query":"q1",`+
		`"metrics":{"mrr@10":0.25,"ndcg@10":0.5},"top":["a","<b> & é"]}`+"\n", string(text))
}

const good = `{"set":"s","system":"after","query":"q","metrics":{"map":1},"top":["a"]}`

func TestLoadErrorNamesFileAndLine(t *testing.T) {
	for _, c := range []struct{ name, line, says string }{
		{"malformed", `{"set":`, "malformed JSON"},
		{"no set", `{"system":"after","query":"q","metrics":{"map":1}}`, `no "set"`},
		{"no system", `{"set":"s","query":"q","metrics":{"map":1}}`, `no "system"`},
		{"no query", `{"set":"s","system":"after","metrics":{"map":1}}`, `no "query"`},
		{"no metrics", `{"set":"s","system":"after","query":"r"}`, `query "r": no metrics`},
		{"null", `{"set":"s","system":"after","query":"r","metrics":{"map":null}}`, `metric "map" is null`},
		{
			"text for a number", `{"set":"s","system":"after","query":"r","metrics":{"map":"1"}}`,
			`"/metrics/map": a string where a number is wanted`,
		},
		{"a passage twice", `{"set":"s","system":"after","query":"r","metrics":{"map":1},"top":["a","a"]}`, `"a" is in the top twice`},
		{"a record twice", good, `set "s", system "after", query "q": there is such a record already`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, results.FileName)
			require.NoError(t, os.WriteFile(path, []byte(good+"\n\n"+c.line+"\n"), 0o600))
			_, err := results.Load(dir)
			require.ErrorContains(t, err, path+":3: ")
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestLoadOfSomethingElseIsAnError(t *testing.T) {
	dir := t.TempDir()
	_, err := results.Load(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, dir+" holds no evaluate.jsonl: is it a run folder")
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = results.Load(file)
	require.ErrorContains(t, err, "is a file: want a run folder")
}

// Whatever Load accepts can be written and loaded again, unchanged; whatever it refuses is refused with a place.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", good, good + "\n" + good, "null", `{"set":"s","system":"x","query":"q","metrics":null}`,
		`{"set":"s","system":"x","query":"\ud800","metrics":{"\ud800":1e-320,"":-0}}`,
		`{"set":"s","system":"x","query":"q","metrics":{"a":1,"a":2},"top":null}`, "{\"set\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, results.FileName), data, 0o600))
		records, err := results.Load(dir)
		if err != nil {
			require.Regexp(t, `evaluate\.jsonl:[0-9]+: `, err.Error())
			return
		}
		save(t, dir, records)
		again, err := results.Load(dir)
		require.NoError(t, err)
		require.True(t, reflect.DeepEqual(records, again), "%v became %v", records, again)
	})
}
