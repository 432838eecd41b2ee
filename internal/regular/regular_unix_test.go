//go:build unix

package regular

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, syscall.Mkfifo(path("pipe"), 0o600))
	require.NoError(t, os.Symlink("pipe", path("link to a pipe")))
	require.NoError(t, os.Symlink("/dev/zero", path("link to a device")))
	require.NoError(t, os.Mkdir(path("folder"), 0o755))
	socket, err := net.Listen("unix", path("socket"))
	require.NoError(t, err)
	defer socket.Close()
	for name, want := range map[string]string{
		path("pipe"):             "not a regular file but a named pipe",
		path("link to a pipe"):   "not a regular file but a named pipe",
		path("link to a device"): "not a regular file but a device",
		"/dev/zero":              "not a regular file but a device",
		path("folder"):           "not a regular file but a folder",
		path("socket"):           "not a regular file but a socket",
	} {
		start := time.Now()
		for _, open := range []func() error{
			func() error { _, err := Open(name); return err },
			func() error { _, err := OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); return err },
			func() error { _, err := ReadFile(name, MaxText); return err },
		} {
			err := open()
			require.ErrorContains(t, err, name+": "+want)
			require.ErrorIs(t, err, ErrNotRegular)
		}
		require.Less(t, time.Since(start), time.Second)
	}
	_, err = Open(path("missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestFilesAndLinksToFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	f, err := OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString("12345")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink("file", link))
	data, err := ReadFile(link, 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(data))
	_, err = ReadFile(link, 4)
	require.ErrorContains(t, err, link+": more than 4 bytes, the limit of such a file")
}

func TestAStreamIsAFileOrAPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	go func() {
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err == nil {
			_, err = writer.WriteString("line\n")
			err = errors.Join(err, writer.Close())
		}
		assert.NoError(t, err)
	}()
	f, err := OpenStream(pipe)
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, "line\n", string(data))

	_, err = OpenStream(dir)
	require.ErrorIs(t, err, ErrNotRegular)
	_, err = OpenStream("/dev/zero")
	require.ErrorIs(t, err, ErrNotRegular)
}
