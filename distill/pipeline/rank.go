package pipeline

import (
	"cmp"
	"context"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

const (
	runDepth    = 1000 // of the rankings of Rank, as trec_eval takes them
	searchBlock = 256  // queries between two reports of progress
)

// Rank ranks the collection's passages for all of its queries, without queries that are passages themselves. A ranking
// ends at 1,000 passages. progress, which may be nil, is told how many queries are done.
func Rank(ctx context.Context, ranker mine.Retriever, c *eval.Collection, progress func(done, total int)) (eval.Run, error) {
	depth := runDepth
	if len(c.Itself) > 0 {
		depth++
	}
	run := make(eval.Run, len(c.Queries))
	for block := range slices.Chunk(c.Queries, searchBlock) {
		rankings, err := ranker.Search(ctx, block, depth)
		if err != nil {
			return nil, err
		}
		for i, q := range block {
			hits, err := named(c, q, rankings[i])
			if err != nil {
				return nil, err
			}
			run[q.ID] = hits[:min(runDepth, len(hits))]
		}
		if progress != nil {
			progress(len(run), len(c.Queries))
		}
	}
	return run, nil
}

// named replaces the hits' indices by ids.
func named(c *eval.Collection, q retort.Query, hits []mine.Hit) ([]eval.Hit, error) {
	out := make([]eval.Hit, 0, len(hits))
	for _, h := range hits {
		p, err := c.Corpus.At(h.Index)
		if err != nil {
			return nil, err
		}
		if !c.IsItself(q, p.ID) {
			out = append(out, eval.Hit{ID: p.ID, Score: h.Score})
		}
	}
	return out, nil
}

// reranker puts the first passages of a ranking in the teacher's order, and leaves those after them.
type reranker struct {
	ranker  mine.Retriever
	teacher teacher.Teacher
	corpus  retort.Corpus
	depth   int
}

func (r reranker) Search(ctx context.Context, queries []retort.Query, k int) ([][]mine.Hit, error) {
	rankings, err := r.ranker.Search(ctx, queries, max(k, r.depth))
	if err != nil {
		return nil, err
	}
	lists := func(yield func(teacher.Work, error) bool) {
		for i, q := range queries {
			if !yield(r.work(q, rankings[i])) {
				return
			}
		}
	}
	i := 0
	for _, scored := range teacher.ScoreAll(ctx, r.teacher, lists, 1) {
		if scored.Err != nil {
			return nil, scored.Err
		}
		rankings[i] = r.reordered(rankings[i], scored.Scores)[:min(k, len(rankings[i]))]
		i++
	}
	return rankings, ctx.Err()
}

func (r reranker) work(q retort.Query, hits []mine.Hit) (teacher.Work, error) {
	w := teacher.Work{Query: q}
	for _, h := range hits[:min(r.depth, len(hits))] {
		p, err := r.corpus.At(h.Index)
		if err != nil {
			return w, err
		}
		w.Passages = append(w.Passages, p)
	}
	return w, nil
}

// reordered gives scores that fall with the rank: those of the teacher and of the ranking cannot be compared.
func (r reranker) reordered(hits []mine.Hit, scores []float64) []mine.Hit {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	out := slices.Clone(hits)
	for rank, i := range order {
		out[rank] = hits[i]
	}
	for rank := range out {
		out[rank].Score = float32(len(out) - rank)
	}
	return out
}
