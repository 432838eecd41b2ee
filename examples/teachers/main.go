package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/teacher"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case ctx.Err() != nil && err != nil:
		fmt.Fprintln(os.Stderr, "teachers: stopped; run the same command to resume")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "teachers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	p := &program{
		settings: defaultSettings(), open: openBERT, openLLM: openCausalLM, openLikelihood: openLikelihoodTeacher,
		crossEncoders: torchCrossEncoders{}, log: stderr,
	}
	flags := flag.NewFlagSet("teachers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	p.settings.add(flags)
	flags.StringVar(&p.folder, "folder", "runs/teachers", "folder of results, vectors, scores and models")
	flags.DurationVar(&p.limit, "limit", 0, "time limit of a cell per call, such as 10m; 0: no limit")
	cell := flags.String("cell", "", "run only cells with this prefix, such as rank/scifact/bm25 or distil/")
	list := flags.Bool("list", false, "list the cells and their state")
	table := flags.Bool("table", false, "print the tables of all results")
	docs := flags.String("docs", "", "with -table: write the tables between the marker lines of this Markdown file")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "unexpected argument %q\n", flags.Arg(0))
		return flag.ErrHelp
	}
	if err := p.settings.check(); err != nil {
		return err
	}
	switch {
	case *table:
		return p.tables(ctx, stdout, *docs)
	case *list:
		return p.list(stdout)
	}
	return p.runCells(ctx, *cell)
}

// program is what all cells share.
type program struct {
	settings settings
	folder   string
	limit    time.Duration
	open     func(ctx context.Context, dir string, s *settings) (model, error)
	log      io.Writer

	// What computes on LibTorch besides the encoders.
	openLLM        func(context.Context, *settings) (llm generate.Completer, closeIt func() error, err error)
	openLikelihood func(context.Context, *settings) (t teacher.Teacher, closeIt func() error, err error)
	crossEncoders  crossEncoders

	bench *bench // of the collection at hand
}

func (p *program) say(format string, args ...any) { fmt.Fprintf(p.log, format+"\n", args...) }

// runCells runs those whose names begin with prefix and that are not done. One that fails or is cut off does not keep
// the others from running.
func (p *program) runCells(ctx context.Context, prefix string) (err error) {
	cells, err := p.choose(prefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.closeBench()) }()
	var left []string
	for _, c := range cells {
		err := p.runCell(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.say("%s: %v", c, err)
			left = append(left, c.String())
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("unfinished cells, run the same command to resume: %s", strings.Join(left, " "))
	}
	return nil
}

// choose returns the planned cells with that prefix. A cell that is named in full need not be planned.
func (p *program) choose(prefix string) ([]cell, error) {
	planned := p.plan()
	chosen := slices.DeleteFunc(slices.Clone(planned), func(c cell) bool { return !strings.HasPrefix(c.String(), prefix) })
	if len(chosen) > 0 {
		return chosen, nil
	}
	c, err := parseCell(prefix)
	if err != nil {
		return nil, fmt.Errorf("no cell has the prefix %q (-list shows all cells)", prefix)
	}
	return []cell{c}, nil
}

// runCell does nothing where the cell's result is there. An end of its time says what was kept.
func (p *program) runCell(ctx context.Context, c cell) error {
	done, err := p.done(c)
	if done || err != nil {
		return err
	}
	within := ctx
	if p.limit > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, p.limit)
		defer cancel()
	}
	start := time.Now()
	p.say("%s", c)
	err = p.work(within, c)
	took := time.Since(start).Round(100 * time.Millisecond)
	switch {
	case err == nil:
		p.say("%s: done in %s", c, took)
	case within.Err() != nil && ctx.Err() == nil:
		err = fmt.Errorf("stopped at the limit of %s; the work so far is kept", p.limit)
	}
	return err
}

// work opens what the cell's collection needs and calls its kind.
func (p *program) work(ctx context.Context, c cell) error {
	b, err := p.benchOf(ctx, c.collection)
	if err != nil {
		return err
	}
	return kinds[c.kind].work(ctx, b, c)
}

func (p *program) list(w io.Writer) error {
	for _, c := range p.plan() {
		state := "open"
		switch done, err := p.done(c); {
		case err != nil:
			state = err.Error()
		case done:
			state = "done"
		}
		if _, err := fmt.Fprintf(w, "%-40s %s\n", c, state); err != nil {
			return err
		}
	}
	return nil
}
