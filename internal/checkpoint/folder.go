package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/atomicfile"
)

// The names of the last two checkpoints. The previous one is read where the last one is damaged.
const (
	Name         = "checkpoint"
	PreviousName = "checkpoint.previous"
)

// Folder is the folder of one training. It is not safe for concurrent use.
type Folder struct {
	dir string
	// The steps of the best models that the last two checkpoints need; -1: none.
	before, last int
}

// OpenFolder creates the folder if needed, and removes the temporary files that kills left in it.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &Folder{dir: dir, before: -1, last: -1}, removeTemporary(dir)
}

// Dir returns the path of the folder.
func (d *Folder) Dir() string { return d.dir }

// Write writes the last checkpoint and keeps the previous one. best is the step of the model that the checkpoint needs,
// which WriteBest has written; -1: none.
func (d *Folder) Write(state any, best int, body func(io.Writer) error) error {
	rotate := func(path string, write func(io.Writer) error) error {
		return atomicfile.Rotate(path, filepath.Join(d.dir, PreviousName), write)
	}
	if err := writeWith(rotate, filepath.Join(d.dir, Name), state, best, body); err != nil {
		return err
	}
	d.before, d.last = d.last, best
	return nil
}

// Prune removes the best models that neither of the last two checkpoints needs. Call it after Write, so that a kill
// never leaves a checkpoint without its best model.
func (d *Folder) Prune() error { return d.KeepBest(d.before, d.last) }

// GoOn makes the checkpoint that Last has found the folder's last one.
func (d *Folder) GoOn(f *File) error {
	if path := filepath.Join(d.dir, Name); f.Path != path {
		if err := os.Rename(f.Path, path); err != nil {
			return err
		}
	}
	d.before, d.last = -1, f.best()
	return nil
}

// WriteBest writes the model that is the best after a step.
func (d *Folder) WriteBest(step int, body func(io.Writer) error) error {
	return Write(BestPath(d.dir, step), nil, body)
}

// OpenBest opens the model that WriteBest wrote.
func (d *Folder) OpenBest(step int) (*File, error) { return Open(BestPath(d.dir, step)) }

// KeepBest removes the best models of all steps but these.
func (d *Folder) KeepBest(steps ...int) error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		var step int
		if _, err := fmt.Sscanf(e.Name(), "best-%d.state", &step); err != nil || e.Name() != bestName(step) {
			continue
		}
		if !slices.Contains(steps, step) {
			errs = append(errs, os.Remove(filepath.Join(d.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// Last opens the last checkpoint of a folder that is whole and has a whole best model; os.ErrNotExist if there is none.
// damage says what is wrong with a later checkpoint that Last had to skip.
func Last(dir string) (f *File, damage, err error) {
	f, err = openWithBest(dir, Name)
	if err == nil {
		return f, nil, nil
	}
	good, goodErr := openWithBest(dir, PreviousName)
	missing, goodMissing := errors.Is(err, os.ErrNotExist), errors.Is(goodErr, os.ErrNotExist)
	switch {
	case goodErr == nil && missing: // killed between two renames
		return good, nil, nil
	case goodErr == nil:
		return good, err, nil
	case goodMissing:
		return nil, nil, err
	case missing:
		return nil, nil, goodErr
	}
	return nil, nil, fmt.Errorf("%w; the previous checkpoint is damaged too: %w", err, goodErr)
}

func openWithBest(dir, name string) (*File, error) {
	f, err := Open(filepath.Join(dir, name))
	if err != nil || f.best() < 0 {
		return f, err
	}
	best, err := Open(BestPath(dir, f.best()))
	if err == nil {
		return f, best.Close()
	}
	f.Close()
	// Not wrapped: a missing best model is damage, while os.ErrNotExist means a folder without a checkpoint.
	return nil, fmt.Errorf("%s cannot be used without its best model: %v", f.Path, err)
}

// BestPath is the file of the best model as of a step. The step is in the name so that a checkpoint never reads the
// best model of a later step.
func BestPath(dir string, step int) string { return filepath.Join(dir, bestName(step)) }

func bestName(step int) string { return fmt.Sprintf("best-%d.state", step) }

func removeTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	errs := []error{atomicfile.RemoveTemporary(filepath.Join(dir, Name))}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".best-") && strings.Contains(e.Name(), ".state.tmp-") {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
