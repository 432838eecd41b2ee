package main

import (
	"context"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
)

// sayCut warns of passages and queries that are longer than the model's limit. Either may be nil.
func sayCut(ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, queries []string, p *progress.Progress) error {
	notices, err := pipeline.Truncated(ctx, enc, corpus, queries)
	for _, n := range notices {
		p.Print(n)
	}
	return err
}
