package pipeline

import (
	"context"

	"github.com/retort-ir/retort"
)

// MakeQueries runs the first stage of a recipe alone: it returns Recipe.Queries and the queries that Recipe.Generator
// makes of the corpus, without duplicates, copies of Recipe.TestQueries and what the filters of queries drop, at most
// Mining.MaxQueries. It reads and writes no Folder and asks no LanguageModel.
func MakeQueries(ctx context.Context, corpus retort.Corpus, recipe Recipe) ([]retort.Query, Funnel, error) {
	r := recipe.WithDefaults()
	s := stages{
		Corpus: corpus, Generator: r.Generator, Queries: r.Queries, TestQueries: r.TestQueries, Mining: r.Mining,
		events: watch(r.Events),
	}
	var funnel Funnel
	queries, err := s.MakeQueries(ctx, &funnel)
	return queries, funnel, err
}
