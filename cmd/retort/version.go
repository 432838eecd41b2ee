package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"

	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/internal/version"
)

var versionCommand = command{
	name:    "version",
	summary: "print the versions of Retort, Go and LibTorch",
	usage: `

example:
  retort version
`,
	json: true,
	run:  runVersion,
}

func runVersion(_ context.Context, args []string, stdout, _ io.Writer) error {
	if err := parse(flag.NewFlagSet("version", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	number, revision := version.Number, version.Revision()
	libTorch := torch.LoadedVersion()
	if wantsJSON(stdout) {
		return writeResult(stdout, map[string]any{
			"retort": number, "revision": revision, "libtorch": libTorch,
			"go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		})
	}
	if revision != "" {
		number += " (" + revision + ")"
	}
	if libTorch == "" {
		libTorch = "without LibTorch"
	} else {
		libTorch = "LibTorch " + libTorch
	}
	fmt.Fprintf(stdout, "retort %s\n%s %s/%s\n%s\n", number, runtime.Version(), runtime.GOOS, runtime.GOARCH, libTorch)
	return nil
}
