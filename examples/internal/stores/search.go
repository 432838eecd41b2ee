package stores

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/examples/service/live"
)

// search answers queries from a store. Its encoder can be replaced while it answers.
type search struct {
	store   Store
	encoder *live.Encoder
}

// answer holds the ids of the best passages.
type answer struct {
	generation    int // of the encoder: 1, and after a swap 2
	dense, hybrid []string
}

const (
	shown = 3   // passages of an answer
	depth = 100 // passages that a ranking gives to the hybrid one
)

func (s *search) ask(ctx context.Context, query string) (answer, error) {
	lease, err := s.encoder.Acquire()
	if err != nil {
		return answer{}, err
	}
	defer lease.Release()
	a := answer{generation: lease.Generation}
	vector, err := lease.Encode(ctx, encoder.Query, []string{query})
	if err != nil {
		return a, err
	}
	if a.dense, err = s.store.Dense(ctx, vector.Data, depth); err != nil {
		return a, fmt.Errorf("dense search: %w", err)
	}
	if len(a.dense) == 0 {
		return a, errors.New("dense search: no passages")
	}
	if t, ok := s.store.(TextSearcher); ok {
		words, err := t.Text(ctx, query, depth)
		if err != nil {
			return a, fmt.Errorf("text search: %w", err)
		}
		a.hybrid = fuse(a.dense, words)
	}
	return a, nil
}

// fuse ranks passages by the sum of 1 / (60 + rank) over the rankings (reciprocal rank fusion, Cormack, Clarke and
// Büttcher 2009).
func fuse(rankings ...[]string) []string {
	scores := map[string]float64{}
	for _, ids := range rankings {
		for i, id := range ids {
			scores[id] += 1 / float64(61+i)
		}
	}
	return slices.SortedFunc(maps.Keys(scores), func(a, b string) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
}

// batch is the number of passages that are encoded and written at a time.
const batch = 256

// write encodes and writes the passages that the store lacks, and returns how many. Stopped and called again it goes on
// with the batch that was not finished.
func write(ctx context.Context, s Store, e encoder.Encoder, corpus retort.Corpus) (int, error) {
	there, err := s.Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count the passages: %w", err)
	}
	if there > corpus.Len() {
		return 0, fmt.Errorf("the index has %d passages, the corpus %d: use another store", there, corpus.Len())
	}
	if there < corpus.Len() {
		there -= there % batch
	}
	for start := there; start < corpus.Len(); start += batch {
		var passages []retort.Passage
		var texts []string
		for i := start; i < min(start+batch, corpus.Len()); i++ {
			p, err := corpus.At(i)
			if err != nil {
				return start - there, err
			}
			passages, texts = append(passages, p), append(texts, p.Content())
		}
		vectors, err := e.Encode(ctx, encoder.Passage, texts)
		if err == nil {
			err = s.Write(ctx, passages, vectors)
		}
		if err != nil {
			return start - there, fmt.Errorf("write the passages from %q on: %w", passages[0].ID, err)
		}
	}
	return corpus.Len() - there, nil
}

// probes is the number of passages that a new model must encode as the store has them.
const probes = 8

// swap lets a model answer from now on, if the vectors of the store are its own. It takes the model over.
func (s *search) swap(ctx context.Context, m live.Model, corpus retort.Corpus) error {
	if err := s.check(ctx, m, corpus); err != nil {
		return errors.Join(err, m.Close())
	}
	closed, err := s.encoder.Swap(m)
	if err != nil {
		return err
	}
	return <-closed // the model before, when its last query is answered
}

func (s *search) check(ctx context.Context, m live.Model, corpus retort.Corpus) error {
	n := min(probes, corpus.Len())
	texts := make([]string, n)
	var stored []float32
	for i := range texts {
		p, err := corpus.At(i)
		if err != nil {
			return err
		}
		v, err := s.store.Vector(ctx, p.ID)
		if err != nil {
			return fmt.Errorf("read the vector of %q: %w", p.ID, err)
		}
		texts[i], stored = p.Content(), append(stored, v...)
	}
	d := len(stored) / n
	return encoder.CheckVectors(ctx, m, texts, blas32.General{Rows: n, Cols: d, Stride: d, Data: stored})
}
