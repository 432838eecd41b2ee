package main

import (
	"context"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
)

// heldOutItems are queries of a type that is not trained on, each with the one passage that it was made of, among at most
// 1,000 passages. Their passages are trained on by other queries: the items choose no student and decide nothing.
func (b *bench) heldOutItems(ctx context.Context) (*eval.Collection, error) {
	const size = 1000
	others, err := generate.NewExtractive(ctx, b.c.corpus,
		generate.Options{Types: []string{generate.TypeKeywords}, Seed: b.p.settings.seed})
	if err != nil {
		return nil, err
	}
	queries, _, err := pipeline.MakeQueries(ctx, b.c.corpus, pipeline.Recipe{
		Generator: others, Mining: pipeline.Mining{MaxQueries: size}, Seed: b.p.settings.seed,
	})
	if err != nil {
		return nil, err
	}
	c := &eval.Collection{Queries: queries, Qrels: eval.Qrels{}}
	var at []int
	for _, q := range queries {
		c.Qrels[q.ID] = map[string]int{q.Source: 1}
		if index, ok := b.c.corpus.Index(q.Source); ok {
			at = append(at, index)
		}
	}
	c.Corpus, err = pool(b.c.corpus, at, size)
	return c, err
}

// pool holds the passages, and others spread evenly over the corpus, at most size in all.
func pool(corpus retort.Corpus, at []int, size int) (retort.Corpus, error) {
	size = min(size, corpus.Len())
	for i := range size {
		at = append(at, i*corpus.Len()/size)
	}
	in := map[int]bool{}
	var passages []retort.Passage
	for _, index := range at {
		if in[index] || len(passages) == size {
			continue
		}
		p, err := corpus.At(index)
		if err != nil {
			return nil, err
		}
		in[index] = true
		passages = append(passages, p)
	}
	return retort.NewCorpus(passages)
}

// reciprocalRanks measures the student on the items.
func reciprocalRanks(ctx context.Context, student encoder.Encoder, items *eval.Collection) (*eval.Report, error) {
	dense, err := mine.NewDense(ctx, student, items.Corpus, nil)
	if err != nil {
		return nil, err
	}
	run, err := pipeline.Rank(ctx, dense, items, nil)
	if err != nil {
		return nil, err
	}
	return eval.Evaluate(items.Qrels, run, eval.MRR(10))
}
