package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func staticModel(name string) string {
	return filepath.Join("..", "..", "encoder", "static", "testdata", name)
}

// The references are the same as in encoder/static: sentence-transformers 6.2 and model2vec 0.10.
func TestStaticEmbeddingsAreEmbeddedAsInPython(t *testing.T) {
	for _, name := range []string{"st", "model2vec", "mapped", "int8"} {
		t.Run(name, func(t *testing.T) { requireEmbedsAsInPython(t, staticModel(name)) })
	}
}

func TestStaticEmbeddingsAreAnEncoderOfEveryCommand(t *testing.T) {
	dir, model := collection(t, nil), staticModel("st")
	vectors, run := dir+"/corpus.npy", dir+"/a.trec"
	require.Contains(t, succeed(t, "embed", "-model", model, "-role", "passage", dir+"/corpus.jsonl", "-out", vectors),
		"corpus.npy: 4 x 10\n")
	succeed(t, "eval", "-collection", dir, "-model", model, "-run", run)
	require.Contains(t, succeed(t, "eval", "-collection", dir, "-model", model, "-vectors", vectors, "-compare", run),
		"+0.0000 to +0.0000  1\n")

	search := []string{"search", "-corpus", dir + "/corpus.jsonl", "-model", model, "line by line"}
	found := succeed(t, search...)
	require.Equal(t, found, succeed(t, append(search, "-vectors", vectors)...))
	require.NotEqual(t, found, succeed(t, append(search, "-dim", "2")...))
	require.NotEqual(t, found, succeed(t, append(search, "-query-prompt", "scan ")...))

	scored := dir + "/scored.jsonl"
	succeed(t, "score", "-corpus", dir+"/corpus.jsonl", "-queries", dir+"/queries.jsonl", "-teacher", "encoder:"+model,
		"-out", scored)
	require.Contains(t, readString(t, scored), `"scan"`)

	for want, flags := range map[string][]string{
		"static embeddings have no pooling to choose: omit -pooling":                {"-pooling", "mean"},
		"Options.TruncateDim is 13; the model's vectors have 12 values (flag -dim)": {"-dim", "13"},
	} {
		code, _, stderr := cli(t.Context(), append(search, flags...)...)
		require.Equal(t, exitFailure, code)
		require.Contains(t, stderr, want)
	}
	code, _, stderr := cli(t.Context(), "export", "-tower", "query", "-model", model, "-out", dir+"/tower")
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "modules.json: the model is static embeddings, which package encoder/static opens")
}

// The run's folder is made after the model is opened, and neither a language model nor a teacher is asked before.
func TestStaticEmbeddingsAreNotTrained(t *testing.T) {
	dir, model := runFolder(t), staticModel("model2vec")
	for _, towers := range []string{"query", "both"} {
		code, stdout, stderr := cli(t.Context(), "distill", "-corpus", dir+"/corpus.jsonl", "-model", model, "-out", dir+"/run",
			"-towers", towers, "-generator", "llm", "-llm", dir+"/none.gguf")
		require.Equal(t, exitFailure, code)
		require.Contains(t, stderr, model+": static embeddings are not trained")
		require.Empty(t, stdout)
		require.NoDirExists(t, dir+"/run")
	}
}
