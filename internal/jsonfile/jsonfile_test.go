package jsonfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFileIsReadBackAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "config.json")
	require.NoError(t, Write(path, map[string]int{"hidden_size": 32}))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "{\n  \"hidden_size\": 32\n}\n", string(raw))
	var got map[string]int
	require.NoError(t, Read(path, &got))
	require.Equal(t, map[string]int{"hidden_size": 32}, got)
}

func TestAMistakeIsNamedByFileAndLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(path, []byte("\ufeff{\n\"a\": 1,\n]}"), 0o644))
	var v any
	require.ErrorContains(t, Read(path, &v), "config.json: line 2: malformed JSON: invalid character")
	require.ErrorIs(t, Read(filepath.Join(t.TempDir(), "none.json"), &v), os.ErrNotExist)
	require.ErrorContains(t, Write(path, func() {}), "config.json: json: unsupported type")
}
