package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/hub/hubtest"
)

// The hub is a local one that serves the tiny model.
func TestAModelOfTheHubIsFetchedByName(t *testing.T) {
	llm := &hubtest.Repository{Commit: hubtest.Commit, Files: map[string]string{"llm.gguf": "GGUF"}}
	h := hubtest.New(t, map[string]*hubtest.Repository{"org/tiny": hubtest.Folder(t, tiny), "org/llm": llm})
	fetch := func(args ...string) (string, error) {
		var out, log strings.Builder
		err := runFetchModel(t.Context(), args, &out, &log)
		return strings.TrimSpace(out.String()), err
	}
	path, err := fetch("org/tiny")
	require.NoError(t, err)
	require.Contains(t, path, filepath.Join("models--org--tiny", "snapshots", hubtest.Commit))

	to := filepath.Join(t.TempDir(), "models", "tiny")
	path, err = fetch("-out", to, "org/tiny")
	require.NoError(t, err)
	require.Equal(t, to, path)
	sameFiles(t, tiny, to)
	before := len(h.Requests())
	_, err = fetch("-out", to, "org/tiny")
	require.NoError(t, err)
	require.Len(t, h.Requests(), before, "the folder is there")
	_, err = fetch("-out", t.TempDir(), "org/tiny")
	require.ErrorContains(t, err, "is no model folder: it is empty")

	to = filepath.Join(t.TempDir(), "llm")
	_, err = fetch("-out", to, "org/llm:llm.gguf")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(to, "llm.gguf"))

	_, err = fetch("org/other")
	require.ErrorContains(t, err, "org/other: not a path here; on the Hugging Face hub: no such repository")
	exported := filepath.Join(t.TempDir(), "exported")
	require.NoError(t, runExport(t.Context(), []string{"-tower", "query", "-model", "org/tiny", "-out", exported}, io.Discard, io.Discard))
	require.FileExists(t, filepath.Join(exported, "config.json"))
}

// Every command that takes a folder of a model takes a name on the hub, and shows the token nowhere.
func TestCommandsTakeNamesOfTheHub(t *testing.T) {
	const secret = "hf_0123456789secret"
	private := hubtest.Folder(t, staticModel("st"))
	private.Token = secret
	dir := collection(t, nil)
	commands := []string{
		"search -corpus DIR/corpus.jsonl -model org/static line",
		"eval -collection DIR -model org/static",
		"embed -role passage DIR/corpus.jsonl -model org/static -out DIR/x.npy",
		"score -corpus DIR/corpus.jsonl -queries DIR/queries.jsonl -teacher encoder:org/static -out DIR/x.jsonl",
		"fetch-model org/static",
	}
	run := func(command string) (int, string) {
		code, stdout, stderr := cli(t.Context(), strings.Fields(strings.ReplaceAll(command, "DIR", dir))...)
		require.NotContains(t, stdout+stderr, secret, command)
		return code, stderr
	}
	for _, command := range commands {
		h := hubtest.New(t, map[string]*hubtest.Repository{"org/static": private})
		t.Setenv("HF_TOKEN", secret)
		code, stderr := run(command)
		require.Equal(t, exitOK, code, stderr)
		t.Setenv("HF_HUB_OFFLINE", "1")
		before := len(h.Requests())
		code, stderr = run(command)
		require.Equal(t, exitOK, code, stderr)
		require.Len(t, h.Requests(), before)
	}
	commands = append(commands, "export -tower query -model org/static -out DIR/tower",
		"distill -corpus DIR/corpus.jsonl -model org/static -out DIR/run")
	for _, command := range commands {
		hubtest.New(t, map[string]*hubtest.Repository{"org/static": private})
		t.Setenv("HF_TOKEN", secret+"-of-another")
		code, stderr := run(command)
		require.Equal(t, exitFailure, code)
		require.Contains(t, stderr, "org/static: not a path here; on the Hugging Face hub: no such repository or revision, or a private one")
		require.Contains(t, stderr, "set HF_TOKEN")
		t.Setenv("HF_HUB_OFFLINE", "1")
		code, stderr = run(command)
		require.Equal(t, exitFailure, code)
		require.Contains(t, stderr, "HF_HUB_OFFLINE is set, and the cache "+filepath.Join(os.Getenv("HF_HOME"), "hub"))
	}
}

// sameFiles compares the files that a model needs.
func sameFiles(t *testing.T, want, got string) {
	t.Helper()
	for _, name := range []string{"config.json", "modules.json", "model.safetensors", "1_Pooling/config.json"} {
		w, err := os.ReadFile(filepath.Join(want, name))
		require.NoError(t, err)
		g, err := os.ReadFile(filepath.Join(got, name))
		require.NoError(t, err)
		require.Equal(t, w, g, name)
		info, err := os.Lstat(filepath.Join(got, name))
		require.NoError(t, err)
		require.True(t, info.Mode().IsRegular(), name)
	}
}
