package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
)

// WriteIn is [Write] below a root. name is a path with slashes, and no link in it may lead out of the root.
func WriteIn(root *os.Root, name string, write func(io.Writer) error) (err error) {
	temporary, f, err := createIn(root, name)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			root.Remove(temporary)
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := root.Rename(temporary, name); err != nil {
		return err
	}
	return syncIn(root, path.Dir(name))
}

// createIn creates a file whose name [RemoveTemporary] matches.
func createIn(root *os.Root, name string) (string, *os.File, error) {
	for try := 0; ; try++ {
		temporary := path.Join(path.Dir(name), fmt.Sprintf(".%s.tmp-%d", path.Base(name), rand.Uint32()))
		f, err := root.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil || !errors.Is(err, os.ErrExist) || try == 100 {
			return temporary, f, err
		}
	}
}

func syncIn(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
