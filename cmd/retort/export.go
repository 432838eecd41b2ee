package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/hub"
)

var exportCommand = command{
	name:    "export",
	summary: "write one tower of a model as a folder for other tools",
	usage: `-tower query|passage -model DIR -out DIR [-pooling P] [-dim N]

Writes the query tower or the passage tower of a model as a sentence-transformers folder without a Router: Transformer,
Pooling and Normalize. From a model with one tower it copies the weights with the prompt and length limit of the role.
LibTorch is not needed.

  -tower T              query or passage
  -model DIR            a folder in Hugging Face or sentence-transformers layout, such as RUN/model
  -out DIR              output folder; an existing folder must be empty or written by Retort` + vectorUsage + `

example:
  retort export -tower query -model runs/mine/model -out ./query-encoder
`,
	run: runExport,
}

func runExport(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
	tower := flags.String("tower", "", "")
	dir := flags.String("model", "", "")
	out := flags.String("out", "", "")
	var options transformer.Options
	flags.StringVar(&options.Pooling, "pooling", "", "")
	flags.IntVar(&options.TruncateDim, "dim", 0, "")
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	if err := required(flags, "tower", "model", "out"); err != nil {
		return err
	}
	role, err := parseRole("-tower", *tower)
	if err != nil {
		return err
	}
	if err := checkPooling(options.Pooling); err != nil {
		return err
	}
	source, err := hub.Resolve(ctx, *dir, slog.New(lineHandler{progress.New(stderr)}))
	if err != nil {
		return err
	}
	folder, err := transformer.ReadFolder(source, options)
	if err != nil {
		return withFlag(err)
	}
	if err := folder.Export(ctx, *out, role); err != nil {
		return err
	}
	fmt.Fprintln(stdout, *out)
	return nil
}
