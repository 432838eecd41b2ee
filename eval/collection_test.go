package eval

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// writeCollection lays a small collection out in a folder. changes replaces the content of files; empty means no file.
func writeCollection(t *testing.T, changes map[string]string) string {
	t.Helper()
	files := map[string]string{
		"corpus.jsonl":    `{"_id":"a","title":"","text":"one"}` + "\n" + `{"_id":"b","title":"t","text":"two"}` + "\n",
		"queries.jsonl":   `{"_id":"q1","text":"x"}` + "\n" + `{"_id":"q2","text":"y"}` + "\n" + `{"_id":"q3","text":"z"}` + "\n",
		"qrels/test.tsv":  "query-id\tcorpus-id\tscore\nq3\tb\t1\nq1\ta\t1\n",
		"qrels/train.tsv": "query-id\tcorpus-id\tscore\nq2\tb\t1\n",
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "qrels"), 0o755))
	for name, text := range files {
		if changed, ok := changes[name]; ok {
			text = changed
		}
		if text != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
	}
	return dir
}

func TestLoadCollectionKeepsTheQueriesOfTheSplit(t *testing.T) {
	c, err := LoadCollection(writeCollection(t, nil), "test")
	require.NoError(t, err)
	require.Equal(t, 2, c.Corpus.Len())
	require.Equal(t, Qrels{"q1": {"a": 1}, "q3": {"b": 1}}, c.Qrels)
	require.Len(t, c.Queries, 2)
	require.Equal(t, "q1", c.Queries[0].ID)
	require.Equal(t, "q3", c.Queries[1].ID)
}

func TestLoadCollectionListsTheSplits(t *testing.T) {
	_, err := LoadCollection(writeCollection(t, nil), "dev")
	require.ErrorContains(t, err, `has no split "dev", only test, train`)
	require.ErrorIs(t, err, fs.ErrNotExist)

	_, err = LoadCollection(t.TempDir(), "test")
	require.ErrorContains(t, err, "is not a collection in BEIR layout")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestLoadCollectionNamesTheBadFile(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"no corpus":         {"corpus.jsonl", "", "corpus.jsonl"},
		"empty corpus":      {"corpus.jsonl", "\n", "corpus.jsonl: no records"},
		"malformed corpus":  {"corpus.jsonl", "{}\n{", "corpus.jsonl:1"},
		"no queries":        {"queries.jsonl", "", "queries.jsonl"},
		"repeated query":    {"queries.jsonl", `{"_id":"q","text":"x"}` + "\n" + `{"_id":"q","text":"x"}`, `id "q" is already used`},
		"malformed qrels":   {"qrels/test.tsv", "q1\ta\tx\n", "test.tsv:1: grade"},
		"unknown passage":   {"qrels/test.tsv", "q1\tz\t1\n", `test.tsv: the qrels name 1 passages`},
		"judgement unasked": {"qrels/test.tsv", "q9\ta\t1\n", `test.tsv: the qrels name 1 queries`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadCollection(writeCollection(t, map[string]string{c.file: c.text}), "test")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestLoadCollectionReadsRealOnes(t *testing.T) {
	dir := os.Getenv("RETORT_COLLECTIONS")
	if dir == "" {
		t.Skip("set RETORT_COLLECTIONS to a folder that holds scifact, nfcorpus and cranfield in BEIR layout")
	}
	for _, want := range []struct {
		name, split               string
		passages, queries, judged int
	}{
		{"scifact", "test", 5183, 300, 339},
		{"scifact", "train", 5183, 809, 919},
		{"nfcorpus", "test", 3633, 323, 12334},
		{"nfcorpus", "dev", 3633, 324, 11385},
		{"nfcorpus", "train", 3633, 2590, 110575},
		{"cranfield", "test", 1400, 225, 1837},
		{"cranfield", "test-binary", 1400, 225, 1837},
	} {
		t.Run(want.name+"/"+want.split, func(t *testing.T) {
			c, err := LoadCollection(filepath.Join(dir, want.name), want.split)
			require.NoError(t, err)
			judged := 0
			for _, grades := range c.Qrels {
				judged += len(grades)
			}
			require.Equal(t, want.passages, c.Corpus.Len())
			require.Len(t, c.Queries, want.queries)
			require.Len(t, c.Qrels, want.queries)
			require.Equal(t, want.judged, judged)
		})
	}
}
