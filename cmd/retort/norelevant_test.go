package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEvalSaysWhereNoPassageIsRelevant(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	corpus := write("corpus.jsonl", `{"_id":"a","text":"one fish"}`+"\n"+`{"_id":"b","text":"red pond"}`+"\n")
	queries := write("queries.jsonl", `{"_id":"q1","text":"fish"}`+"\n"+`{"_id":"q2","text":"pond"}`+"\n")
	qrels := write("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\ta\t0\nq2\tb\t1\n")
	code, _, stderr := cli(t.Context(), "eval", "-bm25", "-corpus", corpus, "-queries", queries, "-qrels", qrels)
	require.Equal(t, exitOK, code, stderr)
	require.Contains(t, stderr, "1 of the 2 queries have no relevant passage")
}
