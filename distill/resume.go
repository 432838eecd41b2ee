package distill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/checkpoint"
)

// findCheckpoint makes the folder, and reads the checkpoint where it holds one.
func (t *trainer) findCheckpoint() error {
	if !t.workers.leads() {
		return nil
	}
	dir := t.opts.Checkpoints.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "retort-distill-*"); err != nil {
			return fmt.Errorf("distill: %w", err)
		}
	}
	var err error
	if t.folder, err = checkpoint.OpenFolder(dir); err != nil {
		return fmt.Errorf("distill: Options.Checkpoints.Dir: %w", err)
	}
	f, state, damage, err := lastCheckpoint(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkSameRun(f.Path, state.Run, t.state.Run); err != nil {
		return err
	}
	if damage != nil {
		t.warn("the last checkpoint is damaged, training goes on from the one before",
			slog.Any("error", damage), slog.Int("step", state.Step))
	}
	if err := t.folder.GoOn(f); err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	t.state, t.resumed = state, true
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
		if err := loadState(filepath.Join(t.folder.Dir(), checkpoint.Name), t.student); err != nil {
			return err
		}
	}
	return t.workers.shareStudent(ctx, t.student)
}

// checkpoint comes after the best student is written. Rank 0 of a group writes it alone.
func (t *trainer) checkpoint() error {
	if !t.workers.leads() {
		return nil
	}
	if t.opts.Checkpoints.Dir == "" {
		return t.folder.KeepBest(t.state.best())
	}
	start := time.Now()
	event := retort.Checkpoint{Step: t.state.Step, Dir: t.folder.Dir()}
	t.events.Checkpoint(event)
	if err := t.folder.Write(t.state, t.state.best(), t.student.SaveState); err != nil {
		return t.unsaved(err)
	}
	t.saved, t.savedStep = time.Now(), t.state.Step
	event.Saved, event.Took = true, time.Since(start)
	t.events.Checkpoint(event)
	return t.folder.Prune()
}

// unsaved says what stays where a file of the state after a step cannot be written.
func (t *trainer) unsaved(err error) error {
	if errors.Is(err, diskFull) {
		err = fmt.Errorf("the disk is full: %w", err)
	}
	return fmt.Errorf("distill: step %d is not saved, %s: %w", t.state.Step, lastGood(t.lastGood()), err)
}
