package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/hub"
)

var exportCommand = command{
	name:    "export",
	summary: "write one tower of a model, or the model in ONNX, as a folder for other tools",
	usage: `-tower query|passage -model DIR -out DIR [-onnx] [-pooling P] [-dim N]

Writes the query tower or the passage tower of a model as a sentence-transformers folder without a Router: Transformer,
Pooling and Normalize. From a model with one tower it copies the weights with the prompt and length limit of the role.
With -onnx the network is onnx/model.onnx in place of model.safetensors, and without -tower the folder has all towers of
the model. LibTorch is not needed.

  -tower T              query or passage
  -onnx                 write the network in ONNX, for onnxruntime and what reads ONNX
  -model DIR            a folder in Hugging Face or sentence-transformers layout, such as RUN/model
  -out DIR              output folder; an existing folder must be empty or written by Retort` + vectorUsage + `

example:
  retort export -tower query -model runs/mine/model -out ./query-encoder
  retort export -onnx -model runs/mine/model -out ./mine-onnx
`,
	run: runExport,
}

func runExport(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
	tower := flags.String("tower", "", "")
	dir := flags.String("model", "", "")
	out := flags.String("out", "", "")
	inONNX := flags.Bool("onnx", false, "")
	var options transformer.Options
	flags.StringVar(&options.Pooling, "pooling", "", "")
	flags.IntVar(&options.TruncateDim, "dim", 0, "")
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	wanted := []string{"model", "out"}
	if !*inONNX {
		wanted = append([]string{"tower"}, wanted...)
	}
	if err := required(flags, wanted...); err != nil {
		return err
	}
	var role *encoder.Role // nil: both
	if *tower != "" {
		r, err := parseRole("-tower", *tower)
		if err != nil {
			return err
		}
		role = &r
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
	if err := export(ctx, folder, *out, role, *inONNX); err != nil {
		return err
	}
	fmt.Fprintln(stdout, *out)
	return nil
}

// export writes the tower of a role, or the whole model in ONNX.
func export(ctx context.Context, f *transformer.Folder, out string, role *encoder.Role, inONNX bool) error {
	switch {
	case !inONNX:
		return f.Export(ctx, out, *role)
	case role != nil:
		f = f.Only(*role)
	}
	return f.ExportONNX(ctx, out)
}
