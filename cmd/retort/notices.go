package main

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
)

// sayCut warns of passages and queries that are longer than the model's limit. Either may be nil.
func sayCut(ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, queries []string, p *progress.Progress) error {
	notices, err := pipeline.Truncated(ctx, enc, corpus, queries)
	for _, n := range notices {
		p.Print(n)
	}
	return err
}

// checkScripts warns of passages whose script does not suit extractive queries or BM25. path is the corpus file.
func checkScripts(
	ctx context.Context, corpus retort.Corpus, path string, extractOnly bool, p *progress.Progress,
) error {
	scripts, err := generate.ReadScripts(ctx, corpus)
	if err != nil {
		return err
	}
	warnings, err := scripts.Check(extractOnly)
	if err != nil {
		return fmt.Errorf("%s: %w (-queries, -generator llm)", path, err)
	}
	for _, w := range warnings {
		p.Print(w)
	}
	return nil
}
