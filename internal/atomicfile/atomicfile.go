// Package atomicfile writes files that appear whole or not at all.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Write calls write with a temporary file beside path, syncs it and renames it to path. On an error, of write's own
// too, the temporary file is removed and what was at path stays.
func Write(path string, write func(io.Writer) error) error { return writeTo(path, "", write) }

// Rotate is Write that keeps what was at path: it becomes previous, in the same folder, once the new file is whole. A
// kill between the two renames leaves previous alone.
func Rotate(path, previous string, write func(io.Writer) error) error {
	return writeTo(path, previous, write)
}

func writeTo(path, previous string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), temporary(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if previous != "" {
		return rotate(f, path, previous)
	}
	return Commit(f, path)
}

// rotate puts path back where the new file cannot take its place.
func rotate(f *os.File, path, previous string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	err := os.Rename(path, previous)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	moved := err == nil
	err = Commit(f, path)
	if err != nil && moved {
		if _, missing := os.Lstat(path); missing != nil {
			err = errors.Join(err, os.Rename(previous, path))
		}
	}
	return err
}

// RemoveTemporary removes what a kill during Write or Rotate to path has left. No other process may be writing to it.
func RemoveTemporary(path string) error {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), strings.TrimSuffix(temporary(path), "*")) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// temporary is the pattern of the names of path's temporary files.
func temporary(path string) string { return "." + filepath.Base(path) + ".tmp-*" }

// Commit syncs a file that is written, closes it and renames it to path, in the same folder.
func Commit(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in the folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
