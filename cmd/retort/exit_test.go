package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/runfolder"
)

func TestExitCodeOfAnError(t *testing.T) {
	ended := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		return ctx
	}
	busy := fmt.Errorf("the run is %w", runfolder.ErrInUse)
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		want int
	}{
		{"none", t.Context(), nil, 0},
		{"help", t.Context(), &helpAsked{}, 0},
		{"a failure", t.Context(), errors.New("no"), 1},
		{"a wrong command line", t.Context(), fmt.Errorf("%w: no", errUsage), 2},
		{"a run that is worked on", t.Context(), errors.Join(busy, nil), 3},
		{"Ctrl-C", ended(signalled{os.Interrupt}), context.Canceled, 130},
		{"SIGTERM", ended(signalled{syscall.SIGTERM}), context.Canceled, 143},
		{"a program that Ctrl-C ended too", ended(signalled{os.Interrupt}), errors.New("signal: interrupt"), 130},
		{"a context of the caller", ended(nil), context.Canceled, 130},
		{"done in spite of Ctrl-C", ended(signalled{os.Interrupt}), nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, exitCode(c.ctx, c.err)) })
	}
	require.ErrorIs(t, &helpAsked{}, flag.ErrHelp)
}

func TestExitCodesAreDocumented(t *testing.T) {
	text := readString(t, filepath.Join("..", "..", "docs", "command.md"))
	help := succeed(t, "help", "exit-codes")
	require.Equal(t, len(exitCodes), strings.Count(text[strings.Index(text, "| exit code |"):], "\n| "),
		"rows of the table")
	for _, e := range exitCodes {
		require.Contains(t, text, fmt.Sprintf("| %d | %s |\n", e.code, e.meaning))
		require.Contains(t, help, fmt.Sprintf("  %-4d %s\n", e.code, e.meaning))
	}
}

func TestABusyRunGives3(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir)
	held, err := runfolder.Open(t.Context(), filepath.Join(dir, "run"), runfolder.Pipeline, nil)
	require.NoError(t, err)
	defer held.Close()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitBusy, processCommands["slow-distill"].execute(t.Context(), args, &stdout, &stderr))
	require.Contains(t, stderr.String(), fmt.Sprintf("is in use by process %d", os.Getpid()))
	require.Empty(t, stdout.String())
}
