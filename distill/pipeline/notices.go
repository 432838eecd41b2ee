package pipeline

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/counted"
	"github.com/retort-ir/retort/mine"
)

// cutCounter is an encoder that knows which texts it does not read to their ends.
type cutCounter interface {
	CountTruncated(ctx context.Context, role encoder.Role, texts []string) (cut, limit int, err error)
}

// Truncated says how many passages of the corpus are longer than the encoder reads, and how many of the queries. It says
// nothing where none is, or the encoder does not tell. The corpus may be nil.
func Truncated(ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, queries []string) (notices []string, err error) {
	counter, ok := enc.(cutCounter)
	if !ok {
		return nil, nil
	}
	if corpus != nil {
		cut, limit, err := cutPassages(ctx, counter, corpus)
		if err != nil {
			return nil, err
		}
		notices = appendCut(notices, "passages", cut, corpus.Len(), limit)
	}
	if len(queries) > 0 {
		cut, limit, err := counter.CountTruncated(ctx, encoder.Query, queries)
		if err != nil {
			return nil, err
		}
		notices = appendCut(notices, "queries", cut, len(queries), limit)
	}
	return notices, nil
}

func cutPassages(ctx context.Context, counter cutCounter, corpus retort.Corpus) (total, limit int, err error) {
	const block = 1024
	for from := 0; from < corpus.Len(); from += block {
		var texts []string
		for i := from; i < min(from+block, corpus.Len()); i++ {
			passage, err := corpus.At(i)
			if err != nil {
				return 0, 0, err
			}
			texts = append(texts, passage.Content())
		}
		cut, l, err := counter.CountTruncated(ctx, encoder.Passage, texts)
		if err != nil {
			return 0, 0, err
		}
		total, limit = total+cut, l
	}
	return total, limit, nil
}

func appendCut(notices []string, what string, cut, total, limit int) []string {
	if cut == 0 {
		return notices
	}
	return append(notices, fmt.Sprintf("%s of %s %s are longer than the %d tokens that the model reads: their ends are cut off",
		counted.Thousands(cut), counted.Thousands(total), what, limit))
}

// sayCutPassages is for passages that are about to be encoded.
func (r *run) sayCutPassages(ctx context.Context) error {
	return r.warnTruncated(ctx, r.corpus, nil)
}

// sayCutQueries is about the queries that were trained on and the queries that measured the student.
func (r *run) sayCutQueries(ctx context.Context, out *Outcome) error {
	var texts []string
	for _, l := range out.Lists {
		texts = append(texts, l.Query.Text)
	}
	for _, set := range r.measuredSets() {
		for _, q := range set.Collection.Queries {
			texts = append(texts, q.Text)
		}
	}
	return r.warnTruncated(ctx, nil, texts)
}

func (r *run) warnTruncated(ctx context.Context, corpus retort.Corpus, queries []string) error {
	notices, err := Truncated(ctx, r.student, corpus, queries)
	for _, n := range notices {
		r.events.warn(n)
	}
	return err
}

// tellThemselves says which of the queries that are trained on are passages themselves.
func (r *run) tellThemselves() error {
	var err error
	taken := 0
	if r.Lists, taken, err = mine.WithoutThemselves(r.corpus, r.Lists); err != nil {
		return err
	}
	if taken > 0 {
		r.events.warn(fmt.Sprintf("%s of your lists had the passage that is their query itself, which is taken out", counted.Thousands(taken)))
	}
	n, err := mine.Themselves(r.corpus, r.Queries)
	if n > 0 {
		r.events.warn(fmt.Sprintf("%s of your %s queries are passages of the corpus themselves, which are left out of their lists",
			counted.Thousands(n), counted.Thousands(len(r.Queries))))
	}
	return err
}
