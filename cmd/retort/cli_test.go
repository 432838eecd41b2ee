package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var tiny = filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny")

// cli runs a command line.
func cli(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

// succeed runs a command line that must not fail and returns what it prints.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := cli(t.Context(), args...)
	require.Equal(t, exitOK, code, stderr)
	return stdout
}

// The collection of the tests. BM25 answers q1 with its passage on rank 1, q2 with it on rank 2, q3 not at all.
var collectionFiles = map[string]string{
	"corpus.jsonl": `{"_id":"scan","title":"bufio.Scanner","text":"Reads a file line by line."}
{"_id":"read","title":"os.ReadFile","text":"Reads the whole contents of a named file."}
{"_id":"cut","title":"strings.Cut","text":"Slices around the first separator, the first one only, of the first kind."}
{"_id":"split","title":"strings.Split","text":"Slices into all substrings between separator and separator."}
`,
	"queries.jsonl": `{"_id":"q1","text":"line by line"}
{"_id":"q2","text":"separator"}
{"_id":"q3","text":"slurp"}
{"_id":"unjudged","text":"file"}
`,
	"qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\tscan\t1\nq2\tcut\t1\nq3\tread\t1\n",
	"other.trec":     "q1 Q0 scan 1 9 a\nq2 Q0 cut 1 9 a\nq3 Q0 read 1 9 a\n",
}

// collection writes the test collection to a folder; change, which may be nil, replaces files of it.
func collection(t *testing.T, change map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, files := range []map[string]string{collectionFiles, change} {
		for name, content := range files {
			path := filepath.Join(dir, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		}
	}
	return dir
}

// names returns the names of the files in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
