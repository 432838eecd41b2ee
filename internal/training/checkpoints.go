package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/retort-ir/retort/internal/checkpoint"
)

// Open opens or creates the folder, and reads the state of its checkpoint, if any. It does nothing on a worker that
// does not lead. A checkpoint whose run differs from State.Run is an error that names the difference; what is the
// message for values that no person can read.
func (l *Loop) Open(what map[string]string) (err error) {
	if !l.leads() {
		return nil
	}
	dir := l.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "retort-training-*"); err != nil {
			return fmt.Errorf("%s: %w", l.Package, err)
		}
	}
	if l.folder, err = checkpoint.OpenFolder(dir); err != nil {
		return fmt.Errorf("%s: %s: %w", l.Package, l.DirSetting, err)
	}
	f, damage, err := checkpoint.Last(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(l.goOn(f, damage, what), f.Close())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", l.Package, err)
	}
	return nil
}

func (l *Loop) goOn(f *checkpoint.File, damage error, what map[string]string) error {
	var theirs struct {
		Run map[string]string `json:"run"`
	}
	if err := f.State(&theirs); err != nil {
		return err
	}
	if err := checkpoint.CheckSameRun(theirs.Run, l.State.Run, what); err != nil {
		return fmt.Errorf("%s belongs to another run (%w): remove it, or take another %s", f.Path, err, l.DirSetting)
	}
	l.State.Run = nil // decoding adds to a map
	if err := f.State(l.Saved); err != nil {
		return err
	}
	if damage != nil {
		l.OnDamage(damage, l.State.Step)
	}
	l.Resumed = true
	return l.folder.GoOn(f)
}

// load restores the model of the checkpoint, on all workers.
func (l *Loop) load(ctx context.Context) error {
	if l.leads() {
		if err := l.read(filepath.Join(l.folder.Dir(), checkpoint.Name)); err != nil {
			return err
		}
	}
	if l.Group == nil {
		return nil
	}
	return l.Group.ShareModel(ctx)
}

func (l *Loop) read(path string) error {
	f, err := checkpoint.Open(path)
	if err == nil {
		err = errors.Join(l.Trainer.Load(f), f.Close())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", l.Package, err)
	}
	return nil
}

// LoadBest calls the trainer's Load with what SaveBest wrote of the best model.
func (l *Loop) LoadBest() error {
	return l.read(checkpoint.BestPath(l.folder.Dir(), l.State.Best.Step))
}

// OpenBest opens what SaveBest wrote of the best model.
func (l *Loop) OpenBest() (*checkpoint.File, error) { return l.folder.OpenBest(l.State.Best.Step) }

// saveAtEnd saves the steps since the last checkpoint if the context has ended or another worker is lost.
func (l *Loop) saveAtEnd(ctx context.Context, cause error) error {
	ended := ctx.Err() != nil || l.lost(cause)
	if !ended || l.State.Step == max(l.savedStep, 0) {
		return nil
	}
	return l.checkpoint()
}

// checkpoint must be called after the best model is written.
func (l *Loop) checkpoint() error {
	if l.folder == nil {
		return nil
	}
	if l.Dir == "" {
		return l.folder.KeepBest(l.State.BestStep())
	}
	start := time.Now()
	event := Checkpoint{Step: l.State.Step, Dir: l.Dir}
	l.OnCheckpoint(event)
	if err := l.folder.Write(l.Saved, l.State.BestStep(), l.Trainer.Save); err != nil {
		return l.unsaved(err)
	}
	l.saved, l.savedStep = time.Now(), l.State.Step
	event.Saved, event.Took = true, time.Since(start)
	l.OnCheckpoint(event)
	return l.folder.Prune()
}

// unsaved adds the last good checkpoint to the error of writing a file.
func (l *Loop) unsaved(err error) error {
	if errors.Is(err, DiskFull) {
		err = fmt.Errorf("the disk is full: %w", err)
	}
	dir, step := l.LastGood()
	return fmt.Errorf("%s: step %d is not saved, %s: %w", l.Package, l.State.Step, DescribeLastGood(dir, step), err)
}

// LastGood returns the folder and the step of the last good checkpoint; dir is "" if there is none.
func (l *Loop) LastGood() (dir string, step int) {
	if l.Dir == "" || l.savedStep < 0 {
		return "", 0
	}
	return l.Dir, l.savedStep
}

// DescribeLastGood names the checkpoint that training can resume from.
func DescribeLastGood(dir string, step int) string {
	if dir == "" {
		return "there is no checkpoint"
	}
	return fmt.Sprintf("the last good checkpoint is of step %d in %s", step, dir)
}

// Close removes the temporary folder of a run without Dir.
func (l *Loop) Close() error {
	if l.Dir != "" || l.folder == nil {
		return nil
	}
	return os.RemoveAll(l.folder.Dir())
}

// LastState reads the state of the last good checkpoint of a folder; os.ErrNotExist if there is none.
func LastState(dir string) (*State, error) {
	f, _, err := checkpoint.Last(dir)
	if err != nil {
		return nil, err
	}
	var s State
	if err := errors.Join(f.State(&s), f.Close()); err != nil {
		return nil, err
	}
	return &s, nil
}
