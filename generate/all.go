package generate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"github.com/retort-ir/retort"
)

// All yields the queries of every passage of the corpus in its order, whatever finishes first. workers passages are worked on
// at the same time, or workers batches of a BatchGenerator; 0 means one a processor. A passage that fails gives one error,
// with Query.Source its id, and the sequence goes on: whoever wants to stop at the first error leaves the loop. When the
// context ends its error is the last. No goroutine outlives the loop.
func All(ctx context.Context, g QueryGenerator, corpus retort.Corpus, workers int) iter.Seq2[retort.Query, error] {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return func(yield func(retort.Query, error) bool) {
		outer := ctx
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for result := range results(ctx, g, corpus, workers, &wg) {
			var batch []made
			select {
			case batch = <-result:
			case <-ctx.Done():
			}
			if outer.Err() != nil {
				break
			}
			for _, m := range batch {
				if !m.yield(yield) {
					return
				}
			}
		}
		if err := outer.Err(); err != nil {
			yield(retort.Query{}, err)
		}
	}
}

// made is what a generator made of one passage.
type made struct {
	source  string
	queries []retort.Query
	err     error
}

func (m made) yield(yield func(retort.Query, error) bool) bool {
	for _, q := range m.queries {
		if !yield(q, nil) {
			return false
		}
	}
	return m.err == nil || yield(retort.Query{Source: m.source}, m.err)
}

// results starts the work and returns a channel of its results to come, in the corpus's order. It runs some passages ahead of
// the slowest, so that the other workers do not wait for it.
func results(ctx context.Context, g QueryGenerator, corpus retort.Corpus, workers int, wg *sync.WaitGroup) <-chan chan []made {
	const ahead = 4
	size := 1
	if b, ok := g.(BatchGenerator); ok {
		size = max(1, b.BatchSize())
	}
	queue := make(chan chan []made, ahead*workers)
	slots := make(chan struct{}, workers)
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer close(queue)
		for from := 0; from < corpus.Len(); from += size {
			result := make(chan []made, 1)
			select {
			case queue <- result:
			case <-ctx.Done():
				return
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				result <- generateBatch(ctx, g, corpus, from, min(from+size, corpus.Len()))
				<-slots
			}()
		}
	}()
	return queue
}

// generateBatch makes queries of the passages from <= i < to.
func generateBatch(ctx context.Context, g QueryGenerator, corpus retort.Corpus, from, to int) []made {
	batch := make([]made, to-from)
	var ps []retort.Passage
	var at []int // their places in the batch
	for i := from; i < to; i++ {
		p, err := corpus.At(i)
		if err != nil {
			batch[i-from].err = fmt.Errorf("passage %d: %w", i, err)
			continue
		}
		ps, at = append(ps, p), append(at, i-from)
	}
	for n, m := range generateEach(ctx, g, ps) {
		batch[at[n]] = checked(m, ps[n])
	}
	return batch
}

func generateEach(ctx context.Context, g QueryGenerator, ps []retort.Passage) []Made {
	all := make([]Made, len(ps))
	b, ok := g.(BatchGenerator)
	if !ok {
		for i, p := range ps {
			all[i].Queries, all[i].Err = g.Generate(ctx, p)
		}
		return all
	}
	got := b.GenerateBatch(ctx, ps)
	if len(got) == len(ps) {
		return got
	}
	for i := range all {
		all[i].Err = fmt.Errorf("the generator returned %d results for %d passages", len(got), len(ps))
	}
	return all
}

func checked(m Made, p retort.Passage) made {
	if m.Err != nil {
		return made{source: p.ID, err: fmt.Errorf("make queries of passage %q: %w", p.ID, m.Err)}
	}
	for n, q := range m.Queries {
		if err := check(q, p); err != nil {
			return made{source: p.ID, err: fmt.Errorf("make queries of passage %q: query %d: %w", p.ID, n, err)}
		}
	}
	return made{source: p.ID, queries: m.Queries}
}

func check(q retort.Query, p retort.Passage) error {
	switch {
	case q.ID == "":
		return errors.New("the generator gave no ID")
	case q.Text == "":
		return errors.New("the generator gave no Text")
	case q.Source != p.ID:
		return fmt.Errorf("the generator gave the Source %q", q.Source)
	}
	return nil
}
