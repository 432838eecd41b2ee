package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/runfolder"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitBusy        = 3
	exitNothing     = 4
	exitInterrupted = 128 + int(syscall.SIGINT)
	exitTerminated  = 128 + int(syscall.SIGTERM)
)

// exitCodes explains the exit codes.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "success"},
	{exitFailure, "failure; standard error gives the reason"},
	{exitUsage, "wrong command line; nothing was started"},
	{exitBusy, "another process uses the run; nothing was started"},
	{exitNothing, "the teacher is no better than the model; nothing was trained (-force trains anyway)"},
	{exitInterrupted, "interrupted by Ctrl-C; a command that can resume keeps its work"},
	{exitTerminated, "terminated by SIGTERM; a command that can resume keeps its work"},
}

// errUsage marks a wrong command line.
var errUsage = errors.New("wrong usage")

// exitCode returns the exit code for a command's error.
func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	case ctx.Err() != nil:
		var by signalled
		if errors.As(context.Cause(ctx), &by) {
			return by.exitCode()
		}
		return exitInterrupted
	case errors.Is(err, runfolder.ErrInUse):
		return exitBusy
	case errors.Is(err, pipeline.ErrNothingToLearn):
		return exitNothing
	}
	return exitFailure
}

// signalled is the cause of a context that a signal cancelled.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return s.String() }

func (s signalled) exitCode() int {
	if s.Signal == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// untilInterrupted returns f's exit code. The first Ctrl-C or SIGTERM cancels f's context, the second ends the process.
func untilInterrupted(f func(context.Context) int) int {
	ctx, cancel := context.WithCancelCause(encoder.Alone(context.Background())) // the same bytes in every run
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(signalled{<-signals})
		os.Exit(signalled{<-signals}.exitCode())
	}()
	return f(ctx)
}

func printExitCodes(w io.Writer) {
	fmt.Fprintln(w, heading(w, "Exit codes"))
	for _, e := range exitCodes {
		fmt.Fprintf(w, "  %-4d %s\n", e.code, e.meaning)
	}
}
