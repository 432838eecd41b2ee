package distill

import (
	"context"
	"errors"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
)

// KnownItems measure a student without judgements: each query was made from one passage, which the student should find
// among others. With queries of a type that is not trained on, it tells a student that has learnt the corpus from one
// that has learnt to agree with its teacher, which almost any training does. MRR is an Options.Evaluate.
type KnownItems struct {
	queries []string
	sources []int // by number in pool
	pool    []retort.Passage
	fixed   bool
	vectors blas32.General // of pool, once they are encoded and fixed
}

// HoldOut makes n known-item queries with the generator, which should make a type that is not trained on, and a pool of
// 1,000 passages. frozen is that of NewKnownItems.
func HoldOut(ctx context.Context, corpus retort.Corpus, g generate.QueryGenerator, n int, seed uint64, frozen bool) (*KnownItems, error) {
	p := Pipeline{Corpus: corpus, Generator: g, Mining: MiningOptions{MaxQueries: n, Seed: seed}}
	queries, err := p.MakeQueries(ctx, nil)
	if err != nil {
		return nil, err
	}
	return NewKnownItems(corpus, queries, knownItemPool, frozen)
}

const knownItemPool = 1000

// ErrNoKnownItems says that a corpus gave no query of the type that was to be held out.
var ErrNoKnownItems = errors.New("distill: no known-item queries")

// NewKnownItems takes generated queries and a pool of passages: the queries' sources, and others spread evenly over the
// corpus, at most size in all. A title's query is looked for among texts without titles. frozen says that the student's passage
// vectors do not change (QueryOnly): then the pool is encoded once.
func NewKnownItems(corpus retort.Corpus, queries []retort.Query, size int, frozen bool) (*KnownItems, error) {
	if len(queries) == 0 {
		return nil, ErrNoKnownItems
	}
	k := &KnownItems{fixed: frozen}
	number := map[int]int{} // of a passage in the pool, by its index in the corpus
	untitled := queries[0].Type == generate.TypeTitle
	add := func(index int) error {
		if _, ok := number[index]; ok {
			return nil
		}
		p, err := corpus.At(index)
		if err != nil {
			return fmt.Errorf("distill: known items: %w", err)
		}
		if untitled {
			p.Title = ""
		}
		number[index] = len(k.pool)
		k.pool = append(k.pool, p)
		return nil
	}
	for _, q := range queries {
		index, ok := corpus.Index(q.Source)
		if !ok {
			return nil, fmt.Errorf("distill: known-item query %q: its source %q is not in the corpus", q.ID, q.Source)
		}
		if err := add(index); err != nil {
			return nil, err
		}
		k.queries, k.sources = append(k.queries, q.Text), append(k.sources, number[index])
	}
	size = min(size, corpus.Len())
	for i := 0; i < size && len(k.pool) < size; i++ {
		if err := add(i * corpus.Len() / size); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// MRR returns the mean reciprocal rank of the sources, 0 beyond rank 10.
func (k *KnownItems) MRR(ctx context.Context, student encoder.Encoder) (float64, error) {
	ranks, err := k.ReciprocalRanks(ctx, student)
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, r := range ranks {
		sum += r
	}
	return sum / float64(len(ranks)), nil
}

// ReciprocalRanks returns one value a query, for a paired test of two students.
func (k *KnownItems) ReciprocalRanks(ctx context.Context, student encoder.Encoder) ([]float64, error) {
	rankings, err := k.Search(ctx, student)
	if err != nil {
		return nil, err
	}
	reciprocal := make([]float64, len(rankings))
	for i, hits := range rankings {
		for rank, h := range hits {
			if h.Index == k.sources[i] {
				reciprocal[i] = 1 / float64(rank+1)
			}
		}
	}
	return reciprocal, nil
}

// Search returns the ten first passages of the pool for each query, as indices in the corpus of Collection.
func (k *KnownItems) Search(ctx context.Context, student encoder.Encoder) ([][]mine.Hit, error) {
	passages := k.vectors
	if passages.Data == nil {
		texts := make([]string, len(k.pool))
		for i, p := range k.pool {
			texts[i] = p.Content()
		}
		var err error
		if passages, err = student.Encode(ctx, encoder.Passage, texts); err != nil {
			return nil, fmt.Errorf("distill: known items: %w", err)
		}
		if k.fixed {
			k.vectors = passages
		}
	}
	queries, err := student.Encode(ctx, encoder.Query, k.queries)
	if err != nil {
		return nil, fmt.Errorf("distill: known items: %w", err)
	}
	rankings, err := mine.TopK(ctx, queries, passages, cutoff)
	if err != nil {
		return nil, fmt.Errorf("distill: known items: %w", err)
	}
	return rankings, nil
}

// Collection returns the queries, named known-1 and so on, the pool, and the queries' sources as what is relevant.
func (k *KnownItems) Collection() (*eval.Collection, error) {
	pool, err := retort.NewCorpus(k.pool)
	if err != nil {
		return nil, fmt.Errorf("distill: known items: %w", err)
	}
	c := &eval.Collection{Corpus: pool, Qrels: eval.Qrels{}}
	for i, text := range k.queries {
		q := retort.Query{ID: fmt.Sprint("known-", i+1), Text: text, Source: k.pool[k.sources[i]].ID}
		c.Queries = append(c.Queries, q)
		c.Qrels[q.ID] = map[string]int{q.Source: 1}
	}
	return c, nil
}
