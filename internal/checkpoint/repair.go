package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Damaged returns the errors of the damaged files of a folder, by path. The folder need not exist.
func Damaged(dir string) (map[string]error, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	damaged := map[string]error{}
	for _, e := range entries {
		name := e.Name()
		if best := strings.HasPrefix(name, "best-") && strings.HasSuffix(name, ".state"); !best && name != Name &&
			name != PreviousName {
			continue
		}
		path := filepath.Join(dir, name)
		f, err := Open(path)
		if err != nil {
			damaged[path] = err
			continue
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return damaged, nil
}

// Repair removes the damaged files. Where no checkpoint is left to resume from, it removes the folder, and training
// begins anew. It returns what Damaged has found.
func Repair(dir string) (map[string]error, error) {
	damaged, err := Damaged(dir)
	if err != nil || len(damaged) == 0 {
		return nil, err
	}
	for path := range damaged {
		if err := os.Remove(path); err != nil {
			return damaged, err
		}
	}
	last, _, err := Last(dir)
	if err != nil {
		return damaged, os.RemoveAll(dir)
	}
	return damaged, last.Close()
}
