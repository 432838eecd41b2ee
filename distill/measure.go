package distill

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
)

// JudgedQueries returns the mean nDCG@10 of a student over the collection's judged queries, ranking all of its corpus, for
// Selection.Evaluate and Retention.Evaluate. frozen says that the student's passage vectors do not change (QueryOnly): then the
// corpus is encoded once, and what is returned serves one student. It belongs to one goroutine.
func JudgedQueries(c *eval.Collection, frozen bool) func(ctx context.Context, student encoder.Encoder) (float64, error) {
	texts := make([]string, len(c.Queries))
	for i, q := range c.Queries {
		texts[i] = q.Text
	}
	p := passages{frozen: frozen, read: func() ([]string, error) { return corpusTexts(c.Corpus, nil) }}
	return func(ctx context.Context, student encoder.Encoder) (float64, error) {
		vectors, err := p.encode(ctx, student)
		if err != nil {
			return 0, err
		}
		queries, err := encodeAll(ctx, student, encoder.Query, texts, func(int, int) {})
		if err != nil {
			return 0, fmt.Errorf("distill: encode judged queries: %w", err)
		}
		rankings, err := mine.TopK(ctx, queries, vectors, cutoff+1) // one may be the query itself
		if err != nil {
			return 0, fmt.Errorf("distill: judged queries: %w", err)
		}
		run := eval.Run{}
		for i, hits := range rankings {
			for _, h := range hits {
				passage, err := c.Corpus.At(h.Index)
				if err != nil {
					return 0, fmt.Errorf("distill: judged queries: %w", err)
				}
				id := c.Queries[i].ID
				if c.IsItself(c.Queries[i], passage.ID) {
					continue
				}
				run[id] = append(run[id], eval.Hit{ID: passage.ID, Score: float32(h.Score)})
			}
		}
		report, err := eval.Evaluate(c.Qrels, run, eval.NDCG(cutoff))
		if err != nil {
			return 0, fmt.Errorf("distill: judged queries: %w", err)
		}
		return report.Mean(eval.NDCG(cutoff)), nil
	}
}

// ScoredLists returns the nDCG@10 of a student on lists that a teacher scored, as Train measures it on held-out lists, for
// Selection.Evaluate and Retention.Evaluate. frozen is that of JudgedQueries.
func ScoredLists(corpus retort.Corpus, lists []retort.List, frozen bool) (func(ctx context.Context, student encoder.Encoder) (float64, error), error) {
	data, err := newDataset(corpus, nil, lists, false)
	if err != nil {
		return nil, err
	}
	e, err := newEvaluator(&stepper{data: data})
	if err != nil {
		return nil, err
	}
	rows := make([]int, len(e.dev))
	for i, l := range e.dev {
		rows[i] = l.query
	}
	indices := make([]int, len(e.pool))
	for i, n := range e.pool {
		indices[i] = data.passages[n]
	}
	p := passages{frozen: frozen, read: func() ([]string, error) { return corpusTexts(corpus, indices) }}
	return func(ctx context.Context, student encoder.Encoder) (float64, error) {
		vectors, err := p.encode(ctx, student)
		if err != nil {
			return 0, err
		}
		queries, err := encodeAll(ctx, student, encoder.Query, data.queries, func(int, int) {})
		if err != nil {
			return 0, fmt.Errorf("distill: encode the queries of lists: %w", err)
		}
		return e.rank(ctx, &side{rows: e.pool, vectors: vectors}, &side{rows: rows, vectors: queries})
	}, nil
}

// passages are encoded once where they are frozen.
type passages struct {
	frozen  bool
	read    func() ([]string, error)
	vectors blas32.General
}

func (p *passages) encode(ctx context.Context, student encoder.Encoder) (blas32.General, error) {
	if p.vectors.Data != nil {
		return p.vectors, nil
	}
	texts, err := p.read()
	if err != nil {
		return blas32.General{}, err
	}
	vectors, err := encodeAll(ctx, student, encoder.Passage, texts, func(int, int) {})
	if err != nil {
		return blas32.General{}, fmt.Errorf("distill: encode passages: %w", err)
	}
	if p.frozen {
		p.vectors = vectors
	}
	return vectors, nil
}

// corpusTexts reads the passages of the indices, nil: all.
func corpusTexts(corpus retort.Corpus, indices []int) ([]string, error) {
	n := len(indices)
	if indices == nil {
		n = corpus.Len()
	}
	texts := make([]string, n)
	for i := range texts {
		index := i
		if indices != nil {
			index = indices[i]
		}
		p, err := corpus.At(index)
		if err != nil {
			return nil, fmt.Errorf("distill: read passages: %w", err)
		}
		texts[i] = p.Content()
	}
	return texts, nil
}
