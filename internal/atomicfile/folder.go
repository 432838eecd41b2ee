package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/ctxio"
	"github.com/retort-ir/retort/internal/regular"
)

// WriteFolder calls write with a temporary folder beside dir and renames it to dir, whose parents it makes. What was at
// dir is moved aside first and removed last; CheckFolder says whether that may be. On an error the temporary folder is
// removed and what was at dir stays.
func WriteFolder(dir string, write func(temporary string) error) (err error) {
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temporary))
		}
	}()
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := write(temporary); err != nil {
		return err
	}
	return replaceDir(temporary, dir)
}

// CheckFolder refuses to replace the folder source, which is still read, and a folder that is not empty and has no file
// named marker, which tells that Retort wrote it.
func CheckFolder(dir, source, marker string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if same, err := sameFolder(dir, source); err != nil || same {
		return errors.Join(fmt.Errorf("%s is where the model was opened from; name another folder", dir), err)
	}
	if _, err := os.Stat(filepath.Join(dir, marker)); err != nil {
		return fmt.Errorf("%s is there and was not written by Retort (it has no %s); name another folder", dir, marker)
	}
	return nil
}

// WriteBytes writes a file and makes its folder where there is none.
func WriteBytes(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Copy copies a regular file, until ctx is done.
func Copy(ctx context.Context, to, from string) error {
	source, err := regular.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return Write(to, func(w io.Writer) error {
		_, err := io.Copy(w, ctxio.NewReader(ctx, source))
		return err
	})
}

func sameFolder(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(x, y), err
}

// replaceDir puts the folder from in the place of to. Where to holds an older model, that is moved aside first and
// removed last.
func replaceDir(from, to string) error {
	old := from + ".old"
	err := os.Rename(to, old)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		if back := os.Rename(old, to); back != nil && !errors.Is(back, os.ErrNotExist) {
			return errors.Join(err, back)
		}
		return err
	}
	return os.RemoveAll(old)
}
