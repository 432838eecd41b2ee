package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval/godoc"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

func makeLists(ctx context.Context, s settings) error {
	corpus, err := openCorpus(ctx, s.corpus)
	if err != nil {
		return err
	}
	lists, err := bm25Lists(ctx, corpus, s.count, s.length)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.make, 0o777); err != nil {
		return err
	}
	return errors.Join(
		retort.SaveCorpus(filepath.Join(s.make, "corpus.jsonl"), corpus),
		retort.SaveLists(filepath.Join(s.make, "lists.jsonl"), lists),
	)
}

func openCorpus(ctx context.Context, path string) (*retort.MemoryCorpus, error) {
	if path != "" {
		return retort.LoadCorpus(path)
	}
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return nil, err
	}
	return documentation.Corpus, nil
}

// bm25Lists returns lists of about n queries, as BM25 ranks the corpus for them.
func bm25Lists(ctx context.Context, corpus retort.Corpus, n, length int) (lists []retort.List, err error) {
	queries, err := extractive(ctx, corpus, n)
	if err != nil {
		return nil, err
	}
	index, err := mine.NewBM25(ctx, corpus, mine.BM25Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	rankings, err := index.Search(ctx, queries, length)
	if err != nil {
		return nil, err
	}
	for i, hits := range rankings {
		l := retort.List{Query: queries[i]}
		for _, hit := range hits {
			p, err := corpus.At(hit.Index)
			if err != nil {
				return nil, err
			}
			l.IDs = append(l.IDs, p.ID)
			l.Scores = append(l.Scores, float64(hit.Score))
		}
		if len(l.IDs) > 0 {
			lists = append(lists, l)
		}
	}
	return lists, nil
}

// extractive returns a query of each of n passages at equal distances, where one can be cut out of it.
func extractive(ctx context.Context, corpus retort.Corpus, n int) ([]retort.Query, error) {
	generator, err := generate.NewExtractive(ctx, corpus, generate.Options{PerPassage: 1})
	if err != nil {
		return nil, err
	}
	var queries []retort.Query
	n = min(n, corpus.Len())
	for i := range n {
		p, err := corpus.At(i * corpus.Len() / n)
		if err != nil {
			return nil, err
		}
		made, err := generator.Generate(ctx, p)
		if err != nil {
			return nil, err
		}
		queries = append(queries, made...)
	}
	return queries, nil
}

// choose returns n lists of the given length at equal distances among those that can be cut to it.
func choose(corpus retort.Corpus, lists []retort.List, n, length int) ([]retort.List, error) {
	var long []retort.List
	for _, l := range lists {
		cutDown, ok, err := cut(corpus, l, length)
		if err != nil {
			return nil, err
		}
		if ok {
			long = append(long, cutDown)
		}
	}
	if len(long) < n {
		return nil, fmt.Errorf("%d lists have scores and %d passages of the corpus, but all steps together need %d: "+
			"ask for fewer steps, fewer queries or shorter lists", len(long), length, n)
	}
	chosen := make([]retort.List, n)
	for i := range chosen {
		chosen[i] = long[i*len(long)/n]
	}
	return chosen, nil
}

// cut returns the source and the teacher's best others, with scores in [0,1]. The first is the positive of both sides:
// it has the highest score, and the query does not say any more that it was cut out of its source, for which Retort
// would take no positive. A list that is too short is not ok.
func cut(corpus retort.Corpus, l retort.List, length int) (cut retort.List, ok bool, err error) {
	if len(l.Scores) != len(l.IDs) || len(l.IDs) == 0 {
		return retort.List{}, false, nil
	}
	order := make([]int, len(l.IDs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(l.Scores[b], l.Scores[a]) })
	cut = retort.List{Query: l.Query, Weight: l.Weight}
	cut.Query.Origin = ""
	if _, ok := corpus.Index(l.Query.Source); ok {
		cut.IDs, cut.Scores = append(cut.IDs, l.Query.Source), append(cut.Scores, l.Scores[order[0]])
	}
	for _, i := range order {
		_, ok := corpus.Index(l.IDs[i])
		if ok && len(cut.IDs) < length && !slices.Contains(cut.IDs, l.IDs[i]) {
			cut.IDs, cut.Scores = append(cut.IDs, l.IDs[i]), append(cut.Scores, l.Scores[i])
		}
	}
	if len(cut.IDs) < length {
		return retort.List{}, false, nil
	}
	if cut.Scores, err = teacher.MinMax(cut.Scores); err != nil {
		return retort.List{}, false, fmt.Errorf("query %q: %w", l.Query.ID, err)
	}
	return cut, true, nil
}
