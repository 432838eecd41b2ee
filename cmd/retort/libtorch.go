package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/retort-ir/retort/cmd/retort/internal/libtorch"
)

var libtorchInstall = command{
	name:    "libtorch install",
	summary: "find or download LibTorch, and compile the wrappers that Retort calls",
	usage: `[-all-ops]

Uses LibTorch 2.1 or newer from $LIBTORCH (a folder with lib/ and include/) or from Python's torch package. Without
either, downloads torch from PyPI with pip (550 MB, 500 MB after installation). Run it in your own module if that module
requires another version of gotch than Retort. All files go to $RETORT_HOME, or to retort in your cache folder.

  -all-ops    compile all wrappers of gotch (minutes), for programs that call gotch directly

example:
  retort libtorch install
  eval "$(retort libtorch env)"
  go build ./...
`,
	run: runLibtorchInstall,
}

func runLibtorchInstall(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("libtorch install", flag.ContinueOnError)
	allOps := flags.Bool("all-ops", false, "")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	home, err := libtorch.Home()
	if err != nil {
		return err
	}
	i, err := libtorch.Install(ctx, home, libtorch.Options{AllOps: *allOps}, stderr)
	if err != nil {
		return err
	}
	if len(i.Rejected) > 0 {
		fmt.Fprintf(stderr, "not in LibTorch %s: %q\n", i.LibTorch.Version, i.Rejected)
	}
	fmt.Fprintln(stdout, `ready: eval "$(retort libtorch env)", then build with the go command`)
	return nil
}

var libtorchEnv = command{
	name:    "libtorch env",
	summary: "print the environment variables for builds with LibTorch, for sh",
	usage: `

Prints export lines that work in every module. They keep the values in CGO_LDFLAGS and GOFLAGS, and evaluating them twice
is harmless. The built programs find LibTorch without further variables.

example:
  eval "$(retort libtorch env)"
  go run .
`,
	run: runLibtorchEnv,
}

func runLibtorchEnv(ctx context.Context, args []string, stdout, _ io.Writer) error {
	if err := parse(flag.NewFlagSet("libtorch env", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	home, err := libtorch.Home()
	if err != nil {
		return err
	}
	variables, err := libtorch.Env(ctx, home)
	if err != nil {
		return err
	}
	for _, v := range variables {
		fmt.Fprintln(stdout, v.Shell())
	}
	return nil
}

var libtorchDoctor = command{
	name:    "libtorch doctor",
	summary: "check the machine and the installation, and suggest fixes",
	usage: `

Checks the go command, the C++ compiler, Python's pip, the disk and the installation. Then builds and runs a small program
with LibTorch. Prints one line per check. The exit code is 1 if a check fails.

example:
  retort libtorch doctor
`,
	run: runLibtorchDoctor,
}

func runLibtorchDoctor(ctx context.Context, args []string, stdout, _ io.Writer) error {
	if err := parse(flag.NewFlagSet("libtorch doctor", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	home, err := libtorch.Home()
	if err != nil {
		return err
	}
	return libtorch.Doctor(ctx, home, stdout)
}
