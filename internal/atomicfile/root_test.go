package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteInAppearsWholeOrNotAtAllAndStaysBelowItsRoot(t *testing.T) {
	parent := t.TempDir()
	dir, victim := filepath.Join(parent, "run"), filepath.Join(parent, "victim")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	write := func(text string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}
	}
	for _, name := range []string{"file", "sub/file"} {
		for _, text := range []string{"one", "two"} {
			require.NoError(t, WriteIn(root, name, write(text)))
			data, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, text, string(data))
		}
		failed := errors.New("failed")
		require.ErrorIs(t, WriteIn(root, name, func(io.Writer) error { return failed }), failed)
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "two", string(data))
		entries, err := os.ReadDir(filepath.Dir(filepath.Join(dir, name)))
		require.NoError(t, err)
		for _, e := range entries {
			require.NotContains(t, e.Name(), ".tmp-")
		}
	}

	require.NoError(t, os.Symlink("../victim", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("..", filepath.Join(dir, "up")))
	require.NoError(t, WriteIn(root, "link", write("mine")), "the link is replaced, not followed")
	for _, name := range []string{"../victim", "up/victim", victim, "none/file"} {
		require.Error(t, WriteIn(root, name, write("evil")), name)
	}
	data, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(data))
}
