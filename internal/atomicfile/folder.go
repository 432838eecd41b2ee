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

// WriteFolder makes the parents of dir, calls write with a temporary folder beside dir and renames that folder to dir.
// It moves an older folder at dir aside first and removes the older folder last: call CheckFolder before. After an
// error WriteFolder removes the temporary folder and leaves dir as it was.
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

// CheckFolder returns an error where WriteFolder must not replace dir: dir is source, which is still in use, or dir is
// not empty and lacks the file marker, which shows that Retort wrote the folder.
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

// WriteBytes is Write of data, and makes the folder of path.
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

// replaceDir renames from to to, and puts an older folder back where that fails.
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
