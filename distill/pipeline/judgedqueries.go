package pipeline

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/mine"
)

// judgedQueries returns the mean nDCG@10 of a student over the collection's judged queries, ranking all of its corpus, for
// distill.Retention. frozen says that the student's passage vectors do not change (QueryOnly): then the
// corpus is encoded once, and what is returned serves one student. It belongs to one goroutine.
func judgedQueries(c *eval.Collection, frozen bool) func(ctx context.Context, student encoder.Encoder) (float64, error) {
	texts := make([]string, len(c.Queries))
	for i, q := range c.Queries {
		texts[i] = q.Text
	}
	p := passages{frozen: frozen, read: func() ([]string, error) { return corpusTexts(c.Corpus) }}
	return func(ctx context.Context, student encoder.Encoder) (float64, error) {
		vectors, err := p.encode(ctx, student)
		if err != nil {
			return 0, err
		}
		queries, err := encodeAll(ctx, student, encoder.Query, texts)
		if err != nil {
			return 0, fmt.Errorf("pipeline: encode judged queries: %w", err)
		}
		rankings, err := mine.TopK(ctx, queries, vectors, cutoff+1) // one may be the query itself
		if err != nil {
			return 0, fmt.Errorf("pipeline: judged queries: %w", err)
		}
		run := eval.Run{}
		for i, hits := range rankings {
			for _, h := range hits {
				passage, err := c.Corpus.At(h.Index)
				if err != nil {
					return 0, fmt.Errorf("pipeline: judged queries: %w", err)
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
			return 0, fmt.Errorf("pipeline: judged queries: %w", err)
		}
		return report.Mean(eval.NDCG(cutoff)), nil
	}
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
	vectors, err := encodeAll(ctx, student, encoder.Passage, texts)
	if err != nil {
		return blas32.General{}, fmt.Errorf("pipeline: encode passages: %w", err)
	}
	if p.frozen {
		p.vectors = vectors
	}
	return vectors, nil
}

func corpusTexts(corpus retort.Corpus) ([]string, error) {
	texts := make([]string, corpus.Len())
	for i := range texts {
		p, err := corpus.At(i)
		if err != nil {
			return nil, fmt.Errorf("pipeline: read passages: %w", err)
		}
		texts[i] = p.Content()
	}
	return texts, nil
}

// encodeChunk is how many texts are encoded at a time: an ending context waits for no more.
const encodeChunk = 1024

func encodeAll(ctx context.Context, e encoder.Encoder, role encoder.Role, texts []string) (blas32.General, error) {
	ctx = encoder.Alone(ctx)
	all := matrix.New(len(texts), e.Dim())
	for start := 0; start < len(texts); start += encodeChunk {
		m, err := e.Encode(ctx, role, texts[start:min(start+encodeChunk, len(texts))])
		if err != nil {
			return blas32.General{}, err
		}
		for i := range m.Rows {
			copy(matrix.Row(all, start+i), matrix.Row(m, i))
		}
	}
	return all, nil
}
