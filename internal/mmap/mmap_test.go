package mmap

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMapShowsTheWholeFile(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 1 << 20} {
		path := filepath.Join(t.TempDir(), "x")
		want := bytes.Repeat([]byte("retort!"), size/7+1)[:size]
		require.NoError(t, os.WriteFile(path, want, 0o644))
		f, err := Open(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, f.Bytes()), size)
		require.NoError(t, f.Close())
		require.NoError(t, f.Close(), "twice")
	}
}

func TestAFileThatCannotBeMappedIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, []byte("some bytes"), 0o644))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	m, err := read(f, 10)
	require.NoError(t, err)
	m.Release()
	require.Equal(t, "some bytes", string(m.Bytes()))
	require.NoError(t, m.Close())
}

func TestAMapOutlivesItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.WriteFile(path+".new", []byte("new content"), 0o644))
	require.NoError(t, os.Rename(path+".new", path))
	require.Equal(t, "old", string(f.Bytes()))
	f.Release()
	require.Equal(t, "old", string(f.Bytes()), "read again from disk")
}

func TestWhatIsNoFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Open(dir)
	require.ErrorContains(t, err, dir+": not a regular file")
}
