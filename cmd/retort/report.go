package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"

	"github.com/retort-ir/retort/distill/pipeline"
)

var reportCommand = command{
	name:    "report",
	summary: "write the report page of a run again",
	usage: `RUN

Writes RUN/report.html from RUN/report.json, and prints the path of the page. "retort distill" writes RUN/report.json after
the evaluation. The page is one file that needs no network. It shows the metrics before and after, the queries that gained
and lost most, training, the number of queries and lists at each stage, scores, time and memory, settings, and hashes.

example:
  retort report runs/mine
`,
	run: runReport,
}

func runReport(ctx context.Context, args []string, stdout, _ io.Writer) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("%w: RUN is missing", errUsage)
	}
	dir := flags.Arg(0)
	page, err := await(ctx, func() (string, error) { return pipeline.MakePage(ctx, dir) })
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf(`%w: %s is not a run folder, or "retort distill" has not evaluated the run yet`, err, dir)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, page)
	return nil
}
