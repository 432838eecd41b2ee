package pipeline

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/mine"
)

// heldOutItems measure a student without judgements: each query was made from one passage, which the student should find
// among others. With queries of a type that is not trained on, it tells a student that has learnt the corpus from one
// that has learnt to agree with its teacher, which almost any training does. MRR is a distill.Selection.Evaluate.
type heldOutItems struct {
	queries []string
	sources []int // by number in pool
	pool    []retort.Passage
	fixed   bool
	widths  []int          // of the vectors that rank; none: the whole vectors
	vectors blas32.General // of pool, once they are encoded and fixed
}

// newHeldOutItems takes generated queries and a pool of passages: the queries' sources, and others spread evenly over the
// corpus, at most size in all. A title's query is looked for among texts without titles. frozen says that the student's passage
// vectors do not change (QueryOnly): then the pool is encoded once.
func newHeldOutItems(corpus retort.Corpus, queries []retort.Query, size int, frozen bool) (*heldOutItems, error) {
	if len(queries) == 0 {
		return nil, errFewItems
	}
	k := &heldOutItems{fixed: frozen}
	number := map[int]int{} // of a passage in the pool, by its index in the corpus
	untitled := queries[0].Type == generate.TypeTitle
	add := func(index int) error {
		if _, ok := number[index]; ok {
			return nil
		}
		p, err := corpus.At(index)
		if err != nil {
			return fmt.Errorf("pipeline: held-out items: %w", err)
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
			return nil, fmt.Errorf("pipeline: held-out item %q: its source %q is not in the corpus", q.ID, q.Source)
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

// MRR returns the mean of ReciprocalRanks: of the sources' ranks, 0 beyond rank 10, each source counting once.
func (k *heldOutItems) MRR(ctx context.Context, student encoder.Encoder) (float64, error) {
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

// ReciprocalRanks returns one value a source in the order in which they came, the mean reciprocal rank of its queries,
// for a paired test of two students: queries of one passage are found or missed together, and would count as more than
// they are. With widths a value is the mean over these.
func (k *heldOutItems) ReciprocalRanks(ctx context.Context, student encoder.Encoder) ([]float64, error) {
	queries, passages, err := k.encode(ctx, student)
	if err != nil {
		return nil, err
	}
	widths := k.widths
	if len(widths) == 0 {
		widths = []int{queries.Cols}
	}
	var sums []float64
	for _, w := range widths {
		rankings, err := searchAt(ctx, queries, passages, w)
		if err != nil {
			return nil, err
		}
		for i, rank := range k.ranksOf(rankings) {
			if len(sums) == i {
				sums = append(sums, 0)
			}
			sums[i] += rank
		}
	}
	for i := range sums {
		sums[i] /= float64(len(widths))
	}
	return sums, nil
}

// ranksOf returns the mean reciprocal rank of each source's queries.
func (k *heldOutItems) ranksOf(rankings [][]mine.Hit) []float64 {
	var means, counts []float64
	at := map[int]int{} // of a source among the means
	for i, hits := range rankings {
		source, ok := at[k.sources[i]]
		if !ok {
			source = len(means)
			at[k.sources[i]] = source
			means, counts = append(means, 0), append(counts, 0)
		}
		counts[source]++
		for rank, h := range hits {
			if h.Index == k.sources[i] {
				means[source] += 1 / float64(rank+1)
			}
		}
	}
	for i := range means {
		means[i] /= counts[i]
	}
	return means
}

// Sources are the ids of the passages that the queries were made from, each once.
func (k *heldOutItems) Sources() []string {
	var ids []string
	seen := map[int]bool{}
	for _, source := range k.sources {
		if !seen[source] {
			seen[source] = true
			ids = append(ids, k.pool[source].ID)
		}
	}
	return ids
}

// encode returns the vectors of the queries and of the pool.
func (k *heldOutItems) encode(ctx context.Context, student encoder.Encoder) (queries, passages blas32.General, err error) {
	ctx = encoder.Alone(ctx)
	passages = k.vectors
	if passages.Data == nil {
		texts := make([]string, len(k.pool))
		for i, p := range k.pool {
			texts[i] = p.Content()
		}
		if passages, err = student.Encode(ctx, encoder.Passage, texts); err != nil {
			return queries, passages, fmt.Errorf("pipeline: held-out items: %w", err)
		}
		if k.fixed {
			k.vectors = passages
		}
	}
	if queries, err = student.Encode(ctx, encoder.Query, k.queries); err != nil {
		return queries, passages, fmt.Errorf("pipeline: held-out items: %w", err)
	}
	return queries, passages, nil
}

// searchAt returns the ten first passages for each query by the leading values, as indices in the corpus of Collection.
func searchAt(ctx context.Context, queries, passages blas32.General, width int) ([][]mine.Hit, error) {
	if width != queries.Cols {
		queries, _ = matrix.Leading(queries, width)
		passages, _ = matrix.Leading(passages, width)
	}
	rankings, err := mine.TopK(ctx, queries, passages, cutoff)
	if err != nil {
		return nil, fmt.Errorf("pipeline: held-out items: %w", err)
	}
	return rankings, nil
}

// Collection returns the queries, named known-1 and so on, the pool, and the queries' sources as what is relevant.
func (k *heldOutItems) Collection() (*eval.Collection, error) {
	pool, err := retort.NewCorpus(k.pool)
	if err != nil {
		return nil, fmt.Errorf("pipeline: held-out items: %w", err)
	}
	c := &eval.Collection{Corpus: pool, Queries: k.items(), Qrels: eval.Qrels{}}
	for _, q := range c.Queries {
		c.Qrels[q.ID] = map[string]int{q.Source: 1}
	}
	return c, nil
}

func (k *heldOutItems) items() []retort.Query {
	items := make([]retort.Query, len(k.queries))
	for i, text := range k.queries {
		items[i] = retort.Query{ID: fmt.Sprint("known-", i+1), Text: text, Source: k.pool[k.sources[i]].ID}
	}
	return items
}
