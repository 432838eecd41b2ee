package pypi

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact/artifacttest"
	"github.com/retort-ir/retort/cmd/retort/internal/isolated/isolatedtest"
)

// The Python and the pip are the machine's own.
func TestNothingOfTheWorkingFolderIsRun(t *testing.T) {
	if _, err := Python(t.Context()); err != nil {
		t.Skip(err)
	}
	wheel := artifacttest.Zip(t, "p-1.0-py3-none-any.whl", map[string]string{
		"p/model.bin":              "weights",
		"p-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"p-1.0.dist-info/RECORD":   "",
		"p-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: p\nVersion: 1.0\n",
	})
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_FIND_LINKS", filepath.Dir(wheel))
	isolatedtest.Hostile(t)
	require.NoError(t, os.Mkdir("downloads", 0o755))

	python, err := Python(t.Context())
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(python))
	got, err := Download(t.Context(), Wheel{Project: "p", Version: "1.0", SHA256: artifacttest.SHA256(t, wheel)},
		"downloads")
	require.NoError(t, err)
	require.FileExists(t, got)
}

// exec.LookPath refuses what it finds in the working folder.
func TestAPythonOfTheWorkingFolderIsNotCalled(t *testing.T) {
	isolatedtest.Hostile(t)
	for _, path := range []string{".", "", "bin", ":/nowhere"} {
		t.Setenv("PATH", path)
		_, err := Python(t.Context())
		require.ErrorIs(t, err, ErrNoPip, path)
	}
}
