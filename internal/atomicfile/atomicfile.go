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

// Write calls write with a temporary file beside path, syncs the file and renames it to path. After an error, also one
// of write, Write removes the temporary file and leaves path as it was.
func Write(path string, write func(io.Writer) error) error { return writeTo(path, "", write) }

// Rotate is Write that keeps the old file: once the new file is whole, Rotate renames the old one to previous, in the
// same folder. After a kill between the two renames only previous exists.
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

// RemoveTemporary removes the temporary files that a killed Write or Rotate left beside path. No other process may be
// writing to path.
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

// Commit syncs and closes a written file and renames it to path, in the same folder.
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
