package generate

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/parallel"
)

// All yields the queries of every passage of the corpus in its order, whatever finishes first. workers passages are
// worked on at the same time, or workers batches of a BatchGenerator; 0 means one a processor. A passage that fails
// gives one error, with Query.Source its id, and the sequence goes on: whoever wants to stop at the first error leaves
// the loop. When the context ends its error is the last. No goroutine outlives the loop.
func All(ctx context.Context, g QueryGenerator, corpus retort.Corpus, workers int) iter.Seq2[retort.Query, error] {
	return func(yield func(retort.Query, error) bool) {
		indexes := func(yield func(int) bool) {
			for i := range corpus.Len() {
				if !yield(i) {
					return
				}
			}
		}
		generate := func(ctx context.Context, indexes []int) []made { return generateOf(ctx, g, corpus, indexes) }
		for _, m := range parallel.Map(ctx, indexes, sizeOf(g), workers, generate) {
			if ctx.Err() != nil {
				break
			}
			if !m.yield(yield) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
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

// generateOf makes queries of the passages with these indexes.
func generateOf(ctx context.Context, g QueryGenerator, corpus retort.Corpus, indexes []int) []made {
	all := make([]made, len(indexes))
	var ps []retort.Passage
	var at []int // their places in all
	for n, i := range indexes {
		p, err := corpus.At(i)
		if err != nil {
			all[n].err = fmt.Errorf("passage %d: %w", i, err)
			continue
		}
		ps, at = append(ps, p), append(at, n)
	}
	for n, m := range generateEach(ctx, g, ps) {
		all[at[n]] = checked(m, ps[n])
	}
	return all
}

// generateEach yields exactly one outcome for each passage, whatever the generator does.
func generateEach(ctx context.Context, g QueryGenerator, ps []retort.Passage) iter.Seq2[int, Made] {
	var got iter.Seq2[int, Made]
	if b, ok := g.(BatchGenerator); ok {
		got = b.GenerateBatch(ctx, ps)
	} else {
		got = parallel.InTurn(ctx, len(ps), func(i int) Made {
			queries, err := g.Generate(ctx, ps[i])
			return Made{queries, err}
		})
	}
	return parallel.Outcomes(ctx, len(ps), "the generator", got, func(err error) Made { return Made{Err: err} })
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
