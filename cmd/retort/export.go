package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/retort-ir/retort/encoder/bert"
)

var exportCommand = command{
	name:    "export",
	summary: "write one tower of a model as a plain folder",
	usage: `-tower query|passage -model DIR -out DIR [-pooling P]

Writes the tower of a model that encodes queries, or passages, as a folder for tools that know no Router: one Transformer
with its Pooling and Normalize. The model is checked and its files are copied; LibTorch is not needed. A model with one
tower is copied with the prompt and the length limit of the role alone.

  -tower T              query or passage
  -model DIR            a folder in the layout of Hugging Face or sentence-transformers, such as RUN/model
  -out DIR              the folder that is written; it must not exist, or be empty or written by Retort
  -pooling P            mean or cls (what the folder says)

example:
  retort export -tower query -model runs/mine/model -out ./query-encoder
`,
	run: runExport,
}

func runExport(ctx context.Context, args []string, stdout, _ io.Writer) error {
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
	tower := flags.String("tower", "", "")
	dir := flags.String("model", "", "")
	out := flags.String("out", "", "")
	pooling := flags.String("pooling", "", "")
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
	if err := checkPooling(*pooling); err != nil {
		return err
	}
	folder, err := bert.ReadFolder(*dir, bert.Options{Pooling: *pooling})
	if err != nil {
		return withFlag(err)
	}
	if err := folder.Export(ctx, *out, role); err != nil {
		return err
	}
	fmt.Fprintln(stdout, *out)
	return nil
}
