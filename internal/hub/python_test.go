package hub

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/hub/hubtest"
)

// RETORT_PYTHON is a Python with huggingface_hub. RETORT_UPDATE=1 writes testdata/python_cache.txt anew.
func TestPythonAndRetortShareTheCache(t *testing.T) {
	if os.Getenv("RETORT_PYTHON") == "" {
		t.Skip("set RETORT_PYTHON to a Python with huggingface_hub")
	}
	h := hubtest.New(t, one(model()))
	python(t, "download")
	theirs := listing(t, filepath.Join(os.Getenv("HF_HOME"), "hub"))
	if os.Getenv("RETORT_UPDATE") != "" {
		require.NoError(t, os.WriteFile("testdata/python_cache.txt", []byte(theirs), 0o644))
	}
	large, before := len(h.Large.Requests()), len(h.Requests())
	dir, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	require.Equal(t, weightsText, contents(t, dir)["model.safetensors"])
	require.Len(t, h.Large.Requests(), large, "what Python downloaded is used")
	require.Len(t, h.Requests(), before+1)
	require.Equal(t, theirs, listing(t, filepath.Join(os.Getenv("HF_HOME"), "hub")))

	h = hubtest.New(t, one(model()))
	dir, err = Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	require.Equal(t, theirs, listing(t, filepath.Join(os.Getenv("HF_HOME"), "hub")))
	before = len(h.Requests())
	for _, path := range python(t, "offline") {
		require.Equal(t, dir, path[:len(dir)], "what Retort downloaded is used")
	}
	require.Len(t, h.Requests(), before)
}

func python(t *testing.T, mode string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Getenv("RETORT_PYTHON"), "testdata/make_cache.py", mode)
	if mode == "offline" {
		cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
