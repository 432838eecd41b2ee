package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// readJSON reads a file into v, and says whether it was there.
func readJSON(path string, v any) (bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("%s: %w (remove it to make it again)", path, err)
	}
	return true, nil
}

// writeJSON writes a file that appears whole or not at all.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

func writeFile(path string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return f.Close()
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// cost is what a cell has computed so far, over all calls.
type cost struct {
	Seconds float64 `json:"seconds"`
	Pairs   int     `json:"pairs,omitempty"` // of a query and a passage that were scored, not read from the cache
}

func (p *program) costPath(c cell) string {
	return filepath.Join(p.folder, "costs", c.kind, c.collection, c.name+".json")
}

// spend adds to what the cell has taken, and returns all of it.
func (p *program) spend(c cell, more cost) (cost, error) {
	var all cost
	if _, err := readJSON(p.costPath(c), &all); err != nil {
		return all, err
	}
	all.Seconds += more.Seconds
	all.Pairs += more.Pairs
	return all, writeJSON(p.costPath(c), all)
}
