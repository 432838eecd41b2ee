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
	summary: "make the page of a run again",
	usage: `RUN

Writes RUN/report.html from RUN/report.json, which "retort distill" leaves when it has evaluated a run, and prints the page's
path. The page is one file that needs no network: before and after, the queries that gained and lost most, training, funnel,
scores, time and memory, settings, hashes.

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
		return fmt.Errorf("%w: name the folder of a run", errUsage)
	}
	dir := flags.Arg(0)
	page, err := await(ctx, func() (string, error) { return pipeline.MakePage(ctx, dir) })
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf(`%w: %s is no run, or one that "retort distill" has not evaluated yet`, err, dir)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, page)
	return nil
}
