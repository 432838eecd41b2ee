package main

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/npy"
)

func TestEmbedEqualsSentenceTransformers(t *testing.T) { requireEmbedsAsInPython(t, tiny) }

func TestModelCommandsAgreeWithEachOther(t *testing.T) {
	dir := collection(t, nil)
	vectors, runs := dir+"/corpus.npy", [2]string{dir + "/a.trec", dir + "/b.trec"}
	require.Regexp(t, `corpus.npy: 4 x 32\n$`,
		succeed(t, "embed", "-model", tiny, "-role", "passage", dir+"/corpus.jsonl", "-out", vectors))
	succeed(t, "eval", "-collection", dir, "-model", tiny, "-run", runs[0])
	out := succeed(t, "eval", "-collection", dir, "-model", tiny, "-vectors", vectors, "-run", runs[1], "-compare",
		runs[0])
	require.Contains(t, out, "+0.0000 to +0.0000  1\n", "the same vectors, encoded or read")
	a := loadRun(t, runs[0])
	require.Len(t, a["q3"], 4, "a dense ranker ranks every passage")
	require.Equal(t, a, loadRun(t, runs[1]))

	found := succeed(t, "search", "-corpus", dir+"/corpus.jsonl", "-model", tiny, "-k", "1", "line by line")
	slices.SortFunc(a["q1"], func(x, y eval.Hit) int { return cmp.Compare(y.Score, x.Score) })
	require.Contains(t, found, "  "+a["q1"][0].ID+"  ")
}

func TestModelOptionsReachTheModel(t *testing.T) {
	dir := collection(t, nil)
	embed := func(role, file string, flags ...string) blas32.General {
		out := filepath.Join(t.TempDir(), "x.npy")
		succeed(t, append([]string{"embed", "-model", tiny, "-role", role, dir + "/" + file, "-out", out}, flags...)...)
		m, err := npy.ReadFile(out)
		require.NoError(t, err)
		return m
	}
	query, passage := embed("query", "queries.jsonl"), embed("passage", "corpus.jsonl")
	require.NotEqual(t, query, embed("query", "queries.jsonl", "-query-prompt", ""))
	require.Equal(t, query, embed("query", "queries.jsonl", "-passage-prompt", "", "-passage-tokens", "4"))
	require.NotEqual(t, passage, embed("passage", "corpus.jsonl", "-passage-prompt", "x "))
	require.NotEqual(t, passage, embed("passage", "corpus.jsonl", "-passage-tokens", "5"))
	require.NotEqual(t, query, embed("query", "queries.jsonl", "-query-tokens", "4"))
	require.NotEqual(t, query, embed("query", "queries.jsonl", "-pooling", "cls"))

	leading, _ := matrix.Leading(passage, 8)
	require.InDeltaSlice(t, leading.Data, embed("passage", "corpus.jsonl", "-dim", "8").Data, 1e-6)
	vectors := filepath.Join(dir, "narrow.npy")
	require.NoError(t, npy.WriteFile(vectors, leading))
	search := []string{"search", "-corpus", dir + "/corpus.jsonl", "-model", tiny, "-dim", "8", "line by line"}
	require.Equal(t, succeed(t, search...), succeed(t, append(search, "-vectors", vectors)...))
	require.NotEqual(t, succeed(t, search...), succeed(t, append(search, "-dim", "32")...))
	code, _, stderr := cli(t.Context(), append(search, "-dim", "33")...)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "Options.TruncateDim is 33; the model's vectors have 32 values (flag -dim)")
}

func TestModelInputThatDoesNotFitIsNamed(t *testing.T) {
	dir := collection(t, nil)
	wide := blas32.General{Rows: 4, Cols: 5, Stride: 5, Data: make([]float32, 20)}
	require.NoError(t, npy.WriteFile(dir+"/wide.npy", wide))
	for _, c := range []struct{ name, flags, want string }{
		{"vectors of the wrong width", "-vectors DIR/wide.npy", "DIR/wide.npy: dense: passage vectors have 5 dimensions, but the encoder returns 32"},
		{"vectors that are none", "-vectors DIR/corpus.jsonl", "DIR/corpus.jsonl: not a .npy file"},
		{"no such vectors", "-vectors DIR/gone.npy", "DIR/gone.npy: no such file"},
		{"a limit beyond the model's positions", "-query-tokens 4000", "4000"},
		{"no such device", "-device cuda:99", "cuda:99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := "search -corpus DIR/corpus.jsonl -model " + tiny + " " + c.flags + " line"
			code, _, stderr := cli(t.Context(), strings.Fields(strings.ReplaceAll(args, "DIR", dir))...)
			require.Equal(t, exitFailure, code)
			require.Contains(t, strings.ReplaceAll(stderr, dir, "DIR"), c.want)
		})
	}
}
