package atomicfile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/atomicfile"
)

func writeString(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// requireOnly fails if dir holds anything but the one file with that content.
func requireOnly(t *testing.T, dir, name, content string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, name, entries[0].Name())
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	require.Equal(t, content, string(data))
}

func TestWriteAppearsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	require.NoError(t, atomicfile.Write(path, func(w io.Writer) error {
		if err := writeString("first ")(w); err != nil {
			return err
		}
		_, err := os.Stat(path)
		require.ErrorIs(t, err, fs.ErrNotExist, "visible before it is whole")
		return writeString("second")(w)
	}))
	requireOnly(t, dir, "x", "first second")
}

func TestWriteReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	require.NoError(t, atomicfile.Write(path, writeString("a long old content")))
	require.NoError(t, atomicfile.Write(path, func(w io.Writer) error {
		if err := writeString("new")(w); err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "a long old content", string(data), "changed before the new content is whole")
		return nil
	}))
	requireOnly(t, dir, "x", "new")
}

func TestWriteErrorLeavesTheOldContentAndNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
	full := errors.New("disk full")
	err := atomicfile.Write(path, func(w io.Writer) error {
		return errors.Join(writeString("half")(w), full)
	})
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, path)
	requireOnly(t, dir, "x", "old")
}

func TestWriteOntoAFolderFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	require.NoError(t, os.Mkdir(path, 0o755))
	require.ErrorContains(t, atomicfile.Write(path, writeString("new")), path)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "a temporary file is left")
}

func TestWriteIntoAFolderThatCannotHoldIt(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for name, path := range map[string]string{
		"missing folder": filepath.Join(dir, "missing", "x"),
		"folder a file":  filepath.Join(file, "x"),
		"unwritable":     filepath.Join(dir, "unwritable", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "unwritable" {
				if runtime.GOOS == "windows" || os.Geteuid() == 0 {
					t.Skip("no folder is unwritable to this user")
				}
				require.NoError(t, os.Mkdir(filepath.Dir(path), 0o555))
			}
			called := false
			err := atomicfile.Write(path, func(io.Writer) error { called = true; return nil })
			require.ErrorContains(t, err, "write "+path)
			require.False(t, called)
		})
	}
}

func TestWriteMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, atomicfile.Write(path, writeString("new")))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode())
}

func TestAFolderAppearsWholeOrNotAtAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models", "model")
	file := func(content string) func(string) error {
		return func(temporary string) error {
			return atomicfile.WriteBytes(filepath.Join(temporary, "marker"), []byte(content))
		}
	}
	require.NoError(t, atomicfile.WriteFolder(dir, file("one")))
	require.Error(t, atomicfile.WriteFolder(dir, func(temporary string) error {
		return errors.Join(file("two")(temporary), os.ErrInvalid)
	}))
	content := func() string {
		raw, err := os.ReadFile(filepath.Join(dir, "marker"))
		require.NoError(t, err)
		return string(raw)
	}
	require.Equal(t, "one", content())
	require.NoError(t, atomicfile.WriteFolder(dir, file("three")))
	require.Equal(t, "three", content())
	entries, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary folder is left")
}

func TestOnlyAFolderWithTheMarkerIsReplaced(t *testing.T) {
	dir, source := t.TempDir(), t.TempDir()
	require.NoError(t, atomicfile.CheckFolder(filepath.Join(dir, "none"), source, "marker"))
	require.NoError(t, atomicfile.CheckFolder(dir, source, "marker"), "an empty folder")
	require.NoError(t, atomicfile.WriteBytes(filepath.Join(dir, "file"), nil))
	require.ErrorContains(t, atomicfile.CheckFolder(dir, source, "marker"), "was not written by Retort")
	require.NoError(t, atomicfile.Copy(t.Context(), filepath.Join(dir, "marker"), filepath.Join(dir, "file")))
	require.NoError(t, atomicfile.CheckFolder(dir, source, "marker"))
	require.ErrorContains(t, atomicfile.CheckFolder(dir, dir, "marker"), "is where the model was opened from")
}

func TestRotateKeepsTheFileBefore(t *testing.T) {
	dir := t.TempDir()
	path, previous := filepath.Join(dir, "x"), filepath.Join(dir, "x.previous")
	for _, content := range []string{"one", "two", "three"} {
		require.NoError(t, atomicfile.Rotate(path, previous, writeString(content)))
	}
	read := func(path string) string {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(data)
	}
	require.Equal(t, "three", read(path))
	require.Equal(t, "two", read(previous))

	full := errors.New("disk full")
	err := atomicfile.Rotate(path, previous, func(w io.Writer) error { return errors.Join(writeString("half")(w), full) })
	require.ErrorIs(t, err, full)
	require.Equal(t, "three", read(path))
	require.Equal(t, "two", read(previous))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "a temporary file is left")
}

func TestWhatAKillHasLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x[1]")
	for _, name := range []string{"x[1]", ".x[1].tmp-123", ".x[1].tmp-9", ".xy.tmp-1"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	require.NoError(t, atomicfile.RemoveTemporary(path))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, ".xy.tmp-1", entries[0].Name())
	require.Equal(t, "x[1]", entries[1].Name())
}
