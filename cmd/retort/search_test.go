package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSearchPrintsRankScoreIDTitleAndSnippet(t *testing.T) {
	dir := collection(t, nil)
	require.Regexp(t, `^  1 +\d\.\d{4}  scan  bufio.Scanner
     Reads a file line by line.
  2 +\d\.\d{4}  read  os.ReadFile
     Reads the whole contents of a named file.
$`, succeed(t, "search", "-corpus", dir+"/corpus.jsonl", "-bm25", "file lines"))
	require.Equal(t, 2,
		strings.Count(succeed(t, "search", "a file", "-corpus", dir+"/corpus.jsonl", "-bm25", "-k", "1"), "\n"),
		"flags may follow the query")
	require.Contains(t, succeed(t, "search", "-corpus", dir+"/corpus.jsonl", "-bm25", "--", "-separator"), "split")
}

func TestSearchSaysThatNothingWasFound(t *testing.T) {
	code, stdout, stderr := cli(t.Context(), "search", "-corpus", collection(t, nil)+"/corpus.jsonl", "-bm25", "slurp")
	require.Equal(t, exitOK, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "no passage")
}

func TestSnippetIsOneLineCutBetweenWords(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"short", "a b", "a b"},
		{"empty", "", ""},
		{"white space", " a\n\n\tb\u00a0c ", "a b c"},
		{"what steers a terminal", "a\x1b[31mred\x07", "a[31mred"},
		{"between words", strings.Repeat("words ", 40), strings.TrimSpace(strings.Repeat("words ", 26)) + " ..."},
		{"one long word", strings.Repeat("é", 200), strings.Repeat("é", 160) + " ..."},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, snippet(c.text))
		})
	}
}
