package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/ledger"
	"github.com/retort-ir/retort/internal/runfolder"
)

// ledgers are the files whose records cost money or time: answers of a language model, scores of a teacher.
var ledgers = []string{"answers.jsonl", "teacher-scores.jsonl"}

// runCheckpoints is the folder of the training checkpoints.
const runCheckpoints = "checkpoints"

// verification is the result of status -verify, nil without the flag.
type verification struct{ *runfolder.Verification }

// verifyRun checks all files of a run: those in the manifest, and those that carry checksums.
func verifyRun(ctx context.Context, dir string) (*verification, error) {
	v, err := runfolder.Verify(ctx, dir, runfolder.Pipeline)
	if err != nil {
		return nil, err
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, file := range ledgers {
		err := ledger.Check(ctx, path(file))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			v.Damaged = append(v.Damaged, runfolder.Damage{File: file, Reason: err.Error()})
		}
	}
	checkpoints, err := checkpoint.Damaged(path(runCheckpoints))
	if err != nil {
		return nil, err
	}
	for _, file := range slices.Sorted(maps.Keys(checkpoints)) {
		v.Damaged = append(v.Damaged, runfolder.Damage{
			File:   runCheckpoints + "/" + filepath.Base(file),
			Reason: checkpoints[file].Error(),
		})
	}
	return &verification{v}, nil
}

func (v *verification) print(w io.Writer) error {
	if v == nil || wantsJSON(w) {
		return nil
	}
	fmt.Fprintf(w, "\nverified %d files, %.1f MB\n", v.Files, float64(v.Bytes)/1e6)
	for _, d := range v.Damaged {
		fmt.Fprintf(w, "damaged: %s: %s\n", d.File, d.Reason)
	}
	for _, file := range v.Unchecked {
		fmt.Fprintf(w, "no checksum: %s\n", file)
	}
	return nil
}

func (v *verification) result() *verifiedResult {
	if v == nil {
		return nil
	}
	r := &verifiedResult{Files: v.Files, Bytes: v.Bytes, Damaged: []damagedResult{}, Unchecked: v.Unchecked}
	for _, d := range v.Damaged {
		r.Damaged = append(r.Damaged, damagedResult{d.File, d.Reason})
	}
	return r
}

// err names the first damaged file.
func (v *verification) err(dir string) error {
	if v == nil || len(v.Damaged) == 0 {
		return nil
	}
	err := v.Damaged[0].Error(dir)
	if more := len(v.Damaged) - 1; more > 0 {
		return fmt.Errorf("%w (and %d more files)", err, more)
	}
	return err
}

// repairRun repairs all files of a run: those in the manifest, and those that carry checksums.
func repairRun(ctx context.Context, dir string, log *slog.Logger) ([]runfolder.Repaired, error) {
	done, err := runfolder.Repair(ctx, dir, runfolder.Pipeline, log)
	if err != nil {
		return done, err
	}
	for _, file := range ledgers {
		repaired, err := repairLedger(ctx, filepath.Join(dir, file))
		done = append(done, repaired...)
		if err != nil {
			return done, err
		}
	}
	checkpoints, err := checkpoint.Repair(filepath.Join(dir, runCheckpoints))
	for _, file := range slices.Sorted(maps.Keys(checkpoints)) {
		done = append(done, runfolder.Repaired{
			Path: file, Reason: "damaged", Done: "removed: training resumes from an earlier checkpoint, or starts again",
		})
	}
	return done, errors.Join(err, ctx.Err())
}

// repairLedger repairs a file of answers or scores.
func repairLedger(ctx context.Context, path string) ([]runfolder.Repaired, error) {
	r, err := ledger.Repair(ctx, path)
	if r == nil {
		return nil, err
	}
	done := fmt.Sprintf("%d records kept, %d dropped: the next run requests them again (the original file is now %s)",
		r.Kept, r.Lost, r.Aside)
	return []runfolder.Repaired{{Path: path, Reason: "a checksum does not match", Done: done}}, err
}
