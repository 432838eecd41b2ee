// Package regular opens files that must be regular files after following links. A folder from a stranger may hold a
// named pipe, whose reader waits for ever, or a device without end where a file is expected.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// The greatest sizes in bytes of files that are read whole.
const (
	MaxText = 16 << 20  // settings, templates, keys, lists of names
	MaxJSON = 256 << 20 // JSON documents, such as tokenizers
)

// ErrNotRegular says that a path is a folder, a named pipe, a socket or a device.
var ErrNotRegular = errors.New("not a regular file")

// Open opens a regular file for reading, after following links. It checks the path before opening it, since opening a
// named pipe would wait for the pipe's writer.
func Open(path string) (*os.File, error) { return OpenFile(path, os.O_RDONLY, 0) }

// OpenFile is [os.OpenFile] for a regular file, or with os.O_CREATE for a new file.
func OpenFile(path string, flag int, perm fs.FileMode) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = Check(path, info)
	}
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0) {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = Check(path, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// OpenStream opens a regular file, or a pipe such as a shell's "<(zcat corpus.jsonl.gz)", for reading once from the
// start. It waits for the writer of a named pipe.
func OpenStream(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%w; name %s", Check(path, info), fileIn(path))
	case info.Mode()&fs.ModeNamedPipe == 0:
		return Open(path)
	}
	return os.Open(path)
}

// fileIn suggests files of a folder.
func fileIn(dir string) string {
	var found []string
	for _, pattern := range []string{"*.jsonl", "*.tsv", "*.jsonl.gz", "*.jsonl.zst"} {
		names, _ := fs.Glob(os.DirFS(dir), pattern)
		found = append(found, names...)
	}
	if len(found) == 0 {
		return "a file in it"
	}
	return "a file in it: " + strings.Join(found[:min(len(found), 4)], ", ")
}

// ReadFile returns the content of a regular file of at most limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, path, limit)
}

// ReadAll reads r, of at most limit bytes, to its end. name names r in errors.
func ReadAll(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes, the limit of such a file", name, limit)
	}
	return data, nil
}

// Check returns ErrNotRegular unless info is of a regular file. path names the file in the error.
func Check(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s: %w but %s", path, ErrNotRegular, kindOf(info.Mode()))
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
