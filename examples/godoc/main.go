// Command godoc writes the documentation of the local Go installation and its written queries as a folder in BEIR layout,
// for "retort eval -collection" and other tools:
//
//	go run ./examples/godoc DIR
//
// It writes corpus.jsonl, queries.jsonl, and the judgements of both halves to qrels/dev.tsv and qrels/test.tsv.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/eval/godoc"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: godoc DIR")
		os.Exit(2)
	}
	if err := write(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "godoc:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, dir string) error {
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "qrels"), 0o755); err != nil {
		return err
	}
	if err := retort.SaveCorpus(filepath.Join(dir, "corpus.jsonl"), documentation.Corpus); err != nil {
		return err
	}
	var queries []retort.Query
	for _, split := range []string{"dev", "test"} {
		half, err := documentation.Written(split)
		if err != nil {
			return err
		}
		queries = append(queries, half.Queries...)
		if err := eval.SaveQrels(filepath.Join(dir, "qrels", split+".tsv"), half.Qrels); err != nil {
			return err
		}
	}
	return retort.SaveQueries(filepath.Join(dir, "queries.jsonl"), queries)
}
