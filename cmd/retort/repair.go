package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/internal/runfolder"
)

var repairCommand = command{
	name:    "repair",
	summary: "repair a run's damaged files",
	usage: `RUN

Reads every file of the run and compares it with its checksum. Then:
  - truncates a stage's file before its first damaged record, and prints how many records the next "retort distill" redoes
  - removes damaged files that the next run can recreate: copies of corpus and model, vectors, trained model, report
  - drops damaged answers of a language model and damaged scores of a teacher, and keeps the rest
  - renames a damaged file that nothing recreates, such as costs.json, to NAME.damaged
A killed run needs no repair: the next run handles it.

RUN can also be a file OUT.answers of "retort generate", or OUT.scores of "retort score".

example:
  retort repair runs/mine
`,
	run: runRepair, json: true,
}

func runRepair(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	words, err := parseArgs(flag.NewFlagSet("repair", flag.ContinueOnError), args, "RUN")
	if err != nil {
		return err
	}
	dir := words[0]
	var repaired []runfolder.Repaired
	if info, statErr := os.Stat(dir); statErr == nil && info.Mode().IsRegular() {
		repaired, err = repairLedger(ctx, dir)
	} else {
		repaired, err = repairRun(ctx, dir, slog.New(lineHandler{progress.New(stderr)}))
	}
	if wantsJSON(stdout) && err == nil {
		return writeResult(stdout, repairResult(dir, repaired))
	}
	for _, r := range repaired {
		if c := r.Cut; c != nil {
			fmt.Fprintf(stdout, "%s:%d: cut at byte offset %d: %d records kept, %d to be redone\n", r.Path, c.Line, c.Offset,
				c.Kept, c.Redone)
			continue
		}
		fmt.Fprintf(stdout, "%s: %s: %s\n", r.Path, r.Reason, r.Done)
	}
	if err != nil {
		return noRun(dir, err)
	}
	if len(repaired) == 0 {
		fmt.Fprintln(stdout, "nothing to repair in", dir)
	}
	return nil
}

// noRun explains a missing manifest.
func noRun(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not a run folder: it has no %s (%w)", dir, runfolder.ManifestFile, err)
	}
	return err
}
