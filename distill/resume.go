package distill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// findCheckpoint makes the folder, and reads the checkpoint where it holds one.
func (t *trainer) findCheckpoint() error {
	if !t.workers.leads() {
		return nil
	}
	if t.opts.Dir == "" {
		var err error
		t.dir, err = os.MkdirTemp("", "retort-distill-*")
		return err
	}
	t.dir = t.opts.Dir
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return fmt.Errorf("distill: Options.Dir: %w", err)
	}
	if err := removeTemporary(t.dir); err != nil {
		return err
	}
	f, damage, err := lastCheckpoint(t.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.close()
	path := f.file.Name()
	if err := checkSameRun(path, f.header.Run, t.state.Run); err != nil {
		return err
	}
	if damage != nil {
		t.log.Warn("the last checkpoint is damaged, training goes on from the one before", "error", damage, "step", f.header.Step)
	}
	if last := filepath.Join(t.dir, checkpointName); path != last {
		if err := os.Rename(path, last); err != nil {
			return fmt.Errorf("distill: %w", err)
		}
	}
	t.state, t.resumed, t.savedBest = f.header, true, f.header.Best.Step
	return nil
}

// checkpointAtEnd saves the steps since the last checkpoint where the context has ended or another worker is lost. After
// another error it does not: what broke the student may have broken its state.
func (t *trainer) checkpointAtEnd(ctx context.Context, cause error) error {
	ended := ctx.Err() != nil || errors.Is(cause, ErrWorkerLost)
	if !ended || t.state.Step == max(t.savedStep, 0) {
		return nil
	}
	return t.checkpoint()
}

// loadCheckpoint brings the student of the checkpoint to all workers.
func (t *trainer) loadCheckpoint(ctx context.Context) error {
	if t.workers.leads() {
		if err := t.load(filepath.Join(t.dir, checkpointName)); err != nil {
			return err
		}
	}
	return t.workers.shareStudent(ctx, t.student)
}

func (t *trainer) load(path string) error {
	f, err := openState(path)
	if err != nil {
		return err
	}
	defer f.close()
	return f.load(t.student)
}

// checkpoint comes after the best student is written and before older ones are removed, so that whenever it or the one
// before is read its best student is there. Rank 0 of a group writes it alone.
func (t *trainer) checkpoint() error {
	if !t.workers.leads() {
		return nil
	}
	defer t.profile.Checkpoint.since(time.Now())
	before := t.state.Best.Step
	if t.opts.Dir != "" {
		if err := t.metrics.sync(); err != nil {
			return err
		}
		if err := writeCheckpoint(t.dir, t.state, t.student); err != nil {
			return t.unsaved(err)
		}
		before = t.savedBest
		t.saved, t.savedStep, t.savedBest = time.Now(), t.state.Step, t.state.Best.Step
	}
	return removeOtherBests(t.dir, before, t.state.Best.Step)
}

// unsaved says what stays where a file of the state after a step cannot be written.
func (t *trainer) unsaved(err error) error {
	if errors.Is(err, diskFull) {
		err = fmt.Errorf("the disk is full: %w", err)
	}
	return fmt.Errorf("distill: step %d is not saved, %s: %w", t.state.Step, lastGood(t.lastGood()), err)
}
