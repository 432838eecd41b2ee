package godoc

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionIsTheFirstLineOfTheFile(t *testing.T) {
	version, err := goVersion(smallGOROOT)
	require.NoError(t, err)
	require.Equal(t, "go1.99.1", version)
}

func TestVersionOfNoRelease(t *testing.T) {
	root := t.TempDir()
	_, err := goVersion(root)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "GOROOT")

	require.NoError(t, os.WriteFile(filepath.Join(root, "VERSION"), []byte("\n"), 0o644))
	_, err = goVersion(root)
	require.ErrorContains(t, err, "VERSION")
}

func TestGOROOTWithoutTheGoCommand(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("GOROOT", "/somewhere")
	root, err := findGOROOT(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/somewhere", root)

	t.Setenv("GOROOT", "")
	_, err = findGOROOT(t.Context())
	require.ErrorContains(t, err, "set GOROOT")
}
