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
