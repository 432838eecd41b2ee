package main

import (
	"context"
	"errors"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/examples/service/live"
	"github.com/retort-ir/retort/mine"
)

// The rankings that a search can ask for.
const (
	byDense  = "dense"
	byBM25   = "bm25"
	byHybrid = "hybrid"
)

type answer struct {
	Query      string  `json:"query"`
	By         string  `json:"by"`
	Generation int     `json:"generation"` // of the encoder that answered: 1 is the first since the start
	Hits       []found `json:"hits"`
	cut        bool    // the model read only the start of the query
}

type found struct {
	ID    string  `json:"id"`
	Title string  `json:"title"`
	Text  string  `json:"text"`
	Score float32 `json:"score"` // cosine, BM25's score, or the sum of both standardised
}

// openIndex makes the rankers, which encode queries with the model that the context of a search holds.
func (s *service) openIndex(ctx context.Context, vectors blas32.General) (err error) {
	if s.index, err = mine.NewDenseVectors(leased{vectors.Cols}, vectors); err != nil {
		return err
	}
	if s.bm25, err = mine.NewBM25(ctx, s.corpus, mine.BM25Options{}); err != nil {
		return err
	}
	s.hybrid, err = mine.NewZScoreFusion(0, s.bm25, s.index)
	return err
}

// search answers with the encoder that is current when the search starts.
func (s *service) search(ctx context.Context, text, by string, k int) (*answer, error) {
	lease, err := s.encoder.Acquire()
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	rankers := map[string]mine.Retriever{byDense: s.index, byBM25: s.bm25, byHybrid: s.hybrid}
	queries := []retort.Query{{Text: text}}
	rankings, err := rankers[by].Search(context.WithValue(ctx, leaseKey{}, lease), queries, k)
	if err != nil {
		return nil, err
	}
	a := &answer{Query: text, By: by, Generation: lease.Generation, Hits: []found{}, cut: isCut(ctx, lease, text)}
	for _, h := range rankings[0] {
		p, err := s.corpus.At(h.Index)
		if err != nil {
			return nil, err
		}
		a.Hits = append(a.Hits, found{p.ID, p.Title, p.Text, h.Score})
	}
	return a, nil
}

// leased encodes with the model that the context holds, so that a search keeps one model from its start to its end.
type leased struct{ dim int }

type leaseKey struct{}

func (l leased) Dim() int { return l.dim }

func (l leased) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	lease, ok := ctx.Value(leaseKey{}).(*live.Lease)
	if !ok {
		return blas32.General{}, errors.New("a search without a model")
	}
	return lease.Encode(ctx, role, texts)
}

// isCut reports whether a model reads only the start of a query, as far as it tells.
func isCut(ctx context.Context, lease *live.Lease, text string) bool {
	counter, ok := lease.Encoder.(interface {
		CountTruncated(context.Context, encoder.Role, []string) (cut, limit int, err error)
	})
	if !ok {
		return false
	}
	cut, _, err := counter.CountTruncated(ctx, encoder.Query, []string{text})
	return err == nil && cut > 0
}
