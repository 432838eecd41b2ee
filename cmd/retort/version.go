package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/retort-ir/retort/internal/torch"
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
	module, revision := moduleVersion()
	libTorch := torch.LoadedVersion()
	if wantsJSON(stdout) {
		return writeResult(stdout, map[string]any{
			"retort": module, "revision": revision, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "libtorch": libTorch,
		})
	}
	if revision != "" {
		module += " (" + revision + ")"
	}
	if libTorch == "" {
		libTorch = "without LibTorch"
	} else {
		libTorch = "LibTorch " + libTorch
	}
	fmt.Fprintf(stdout, "retort %s\n%s %s/%s\n%s\n", module, runtime.Version(), runtime.GOOS, runtime.GOARCH, libTorch)
	return nil
}

// moduleVersion returns the version and the commit, as far as the build knows them.
func moduleVersion() (version, revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", ""
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))] + revision
		case s.Key == "vcs.modified" && s.Value == "true":
			revision += ", changed"
		}
	}
	if info.Main.Version == "" {
		return "(devel)", revision
	}
	return info.Main.Version, revision
}
