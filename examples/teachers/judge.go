package main

import (
	"context"
	"strconv"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
)

// observation is a record of what was measured.
type observation struct {
	Trained bool    `json:"trained"`
	Known   bool    `json:"known"` // a known item's reciprocal rank; otherwise a test query's nDCG@10
	Query   string  `json:"query"`
	Value   float64 `json:"value"`
}

// measure returns what measures a student on the test queries, and on known items of a type that is not trained on.
// Their passages are trained on by other queries: the items choose no student and decide nothing.
func (b *bench) measure(
	ctx context.Context, student model,
) (func(context.Context, bool, int, func(any) error) error, error) {
	others, err := generate.NewExtractive(ctx, b.c.corpus, generate.Options{Types: []string{generate.TypeKeywords}, Seed: b.p.settings.seed})
	if err != nil {
		return nil, err
	}
	p := distill.Pipeline{Corpus: b.c.corpus, Generator: others, Mining: distill.MiningOptions{
		MaxQueries: 1000,
		Seed:       b.p.settings.seed,
	}}
	items, err := p.MakeQueries(ctx, nil)
	if err != nil {
		return nil, err
	}
	known, err := distill.NewKnownItems(b.c.corpus, items, 1000, true)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, trained bool, have int, emit func(any) error) error {
		queries, values, err := b.judge(ctx, student)
		if err != nil {
			return err
		}
		var all []observation
		for i, id := range queries {
			all = append(all, observation{trained, false, id, values[i]})
		}
		if values, err = known.ReciprocalRanks(ctx, student); err != nil {
			return err
		}
		for i, v := range values {
			all = append(all, observation{trained, true, strconv.Itoa(i), v})
		}
		for _, o := range all[have:] {
			if err := emit(o); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// judge searches the whole corpus for the test queries. The passages' vectors are those of the untouched student, which
// training does not change.
func (b *bench) judge(ctx context.Context, student encoder.Encoder) ([]string, []float64, error) {
	index, err := mine.NewDenseVectors(student, b.dense[encoderStudent].Vectors())
	if err != nil {
		return nil, nil, err
	}
	rankings, err := index.Search(ctx, b.c.all.Queries, 100)
	if err != nil {
		return nil, nil, err
	}
	run := eval.Run{}
	for i, q := range b.c.all.Queries {
		if run[q.ID], err = hits(b.c.corpus, rankings[i]); err != nil {
			return nil, nil, err
		}
	}
	report, err := eval.Evaluate(b.c.all.Qrels, run, metric)
	if err != nil {
		return nil, nil, err
	}
	return report.Queries, report.Of(metric), nil
}

func hits(corpus retort.Corpus, ranking []mine.Hit) ([]eval.Hit, error) {
	out := make([]eval.Hit, len(ranking))
	for i, h := range ranking {
		p, err := corpus.At(h.Index)
		if err != nil {
			return nil, err
		}
		out[i] = eval.Hit{ID: p.ID, Score: h.Score}
	}
	return out, nil
}
