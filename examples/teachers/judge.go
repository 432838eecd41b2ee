package main

import (
	"context"

	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/generate"
)

// heldOutItems are queries of a type that is not trained on, each with the passage that it was made of. Their passages are
// trained on by other queries: the items choose no student and decide nothing.
func (b *bench) heldOutItems(ctx context.Context) (*pipeline.KnownItems, error) {
	others, err := generate.NewExtractive(ctx, b.c.corpus, generate.Options{Types: []string{generate.TypeKeywords}, Seed: b.p.settings.seed})
	if err != nil {
		return nil, err
	}
	items, _, err := pipeline.MakeQueries(ctx, b.c.corpus, pipeline.Recipe{
		Generator: others, Mining: pipeline.Mining{MaxQueries: 1000}, Seed: b.p.settings.seed,
	})
	if err != nil {
		return nil, err
	}
	return pipeline.NewKnownItems(b.c.corpus, items, 1000, true)
}
