// Command beir writes the documentation of the Go on this machine, with its written queries, as a folder in BEIR's layout,
// which "retort eval -collection" and other tools read:
//
//	go run ./examples/godoc/beir DIR
//
// DIR gets corpus.jsonl, queries.jsonl and the judgements of both halves, qrels/dev.tsv and qrels/test.tsv.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/examples/godoc"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: beir DIR")
		os.Exit(2)
	}
	ctx := context.Background()
	root, err := godoc.GOROOT(ctx)
	if err == nil {
		err = write(ctx, root, os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "beir:", err)
		os.Exit(1)
	}
}

// write writes the collection of the Go in root.
func write(ctx context.Context, root, dir string) error {
	passages, err := godoc.Build(ctx, root)
	if err != nil {
		return err
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "qrels"), 0o755); err != nil {
		return err
	}
	if err := retort.SaveCorpus(filepath.Join(dir, "corpus.jsonl"), corpus); err != nil {
		return err
	}
	var queries []retort.Query
	for _, split := range []godoc.Split{godoc.Dev, godoc.Test} {
		set, err := godoc.WrittenQueries(split, corpus)
		if err != nil {
			return err
		}
		queries = append(queries, set.Queries...)
		if err := eval.SaveQrels(filepath.Join(dir, "qrels", string(split)+".tsv"), set.Qrels); err != nil {
			return err
		}
	}
	return retort.SaveQueries(filepath.Join(dir, "queries.jsonl"), queries)
}
