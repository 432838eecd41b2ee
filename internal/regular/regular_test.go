package regular

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFolderInPlaceOfTextNamesItsFiles(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenStream(dir)
	require.ErrorIs(t, err, ErrNotRegular)
	require.ErrorContains(t, err, "not a regular file but a folder; name a file in it")
	for _, name := range []string{"corpus.jsonl", "queries.jsonl", "notes.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	_, err = OpenStream(dir)
	require.ErrorContains(t, err, "name a file in it: corpus.jsonl, queries.jsonl")
}
