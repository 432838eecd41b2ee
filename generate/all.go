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
// at the same time; 0 means one a processor. A passage that fails gives one error, with Query.Source its id, and the sequence
// goes on: whoever wants to stop at the first error leaves the loop. When the context ends its error is the last. No
// goroutine outlives the loop.
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
			var r made
			select {
			case r = <-result:
			case <-ctx.Done():
			}
			if outer.Err() != nil {
				break
			}
			for _, q := range r.queries {
				if !yield(q, nil) {
					return
				}
			}
			if r.err != nil && !yield(retort.Query{Source: r.source}, r.err) {
				return
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

// results starts the work and returns a channel of its results to come, in the corpus's order. It runs some passages ahead of
// the slowest, so that the other workers do not wait for it.
func results(ctx context.Context, g QueryGenerator, corpus retort.Corpus, workers int, wg *sync.WaitGroup) <-chan chan made {
	const ahead = 4
	queue := make(chan chan made, ahead*workers)
	slots := make(chan struct{}, workers)
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer close(queue)
		for i := range corpus.Len() {
			result := make(chan made, 1)
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
				result <- generateAt(ctx, g, corpus, i)
				<-slots
			}()
		}
	}()
	return queue
}

func generateAt(ctx context.Context, g QueryGenerator, corpus retort.Corpus, i int) made {
	p, err := corpus.At(i)
	if err != nil {
		return made{err: fmt.Errorf("passage %d: %w", i, err)}
	}
	queries, err := g.Generate(ctx, p)
	if err != nil {
		return made{source: p.ID, err: fmt.Errorf("make queries of passage %q: %w", p.ID, err)}
	}
	for n, q := range queries {
		if err := check(q, p); err != nil {
			return made{source: p.ID, err: fmt.Errorf("make queries of passage %q: query %d: %w", p.ID, n, err)}
		}
	}
	return made{source: p.ID, queries: queries}
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
