package distill

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ir/retort"
)

// example is a list with indices in place of ids. Passages are indices in dataset.passages.
type example struct {
	id       string
	query    int // number in dataset.queries
	list     []int32
	teacher  []float64 // aligned with list
	positive int32     // -1: none
	ignore   []int32
	weight   float64
}

// dataset is the training data.
type dataset struct {
	train, dev []example
	queries    []string // texts
	passages   []int    // indices in the corpus, each once
}

// newDataset checks the lists and replaces ids by indices.
func newDataset(corpus retort.Corpus, train, dev []retort.List, wholeCorpus bool) (*dataset, error) {
	b := builder{corpus: corpus, number: map[int]int32{}, seen: map[string]bool{}}
	if wholeCorpus {
		for i := range corpus.Len() {
			b.passage(i)
		}
	}
	var err error
	if b.data.train, err = b.examples(train); err != nil {
		return nil, err
	}
	clear(b.seen) // the same query may be in both sets
	if b.data.dev, err = b.examples(dev); err != nil {
		return nil, err
	}
	b.ignoreSources(b.data.train, train)
	b.ignoreSources(b.data.dev, dev)
	return &b.data, nil
}

type builder struct {
	corpus retort.Corpus
	number map[int]int32 // of a passage, by its index in the corpus
	seen   map[string]bool
	data   dataset
}

func (b *builder) passage(index int) int32 {
	n, ok := b.number[index]
	if !ok {
		n = int32(len(b.data.passages))
		b.number[index] = n
		b.data.passages = append(b.data.passages, index)
	}
	return n
}

func (b *builder) examples(lists []retort.List) ([]example, error) {
	examples := make([]example, 0, len(lists))
	for i, l := range lists {
		e, err := b.example(l)
		if err != nil {
			return nil, fmt.Errorf("distill: list %d, query %q: %w", i, l.Query.ID, err)
		}
		examples = append(examples, e)
	}
	return examples, nil
}

func (b *builder) example(l retort.List) (example, error) {
	if err := b.check(l); err != nil {
		return example{}, err
	}
	e := example{id: l.Query.ID, query: len(b.data.queries), positive: -1, weight: l.Weight}
	b.data.queries = append(b.data.queries, l.Query.Text)
	own := make(map[int32]bool, len(l.IDs))
	best := -1
	for i, id := range l.IDs {
		index, ok := b.corpus.Index(id)
		if !ok {
			return example{}, fmt.Errorf("passage %q is not in the corpus", id)
		}
		n := b.passage(index)
		if own[n] {
			return example{}, fmt.Errorf("passage %q occurs twice", id)
		}
		own[n] = true
		e.list = append(e.list, n)
		e.teacher = append(e.teacher, l.Scores[i])
		if best < 0 || l.Scores[i] > e.teacher[best] {
			best = len(e.list) - 1
		}
	}
	if !l.Query.Extractive() {
		e.positive = e.list[best]
	}
	return e, nil
}

func (b *builder) check(l retort.List) error {
	switch {
	case l.Query.ID == "":
		return fmt.Errorf("the query has no id")
	case b.seen[l.Query.ID]:
		return fmt.Errorf("another list has the same query id")
	case l.Query.Text == "":
		return fmt.Errorf("the query has no text")
	case l.Scores == nil:
		return fmt.Errorf("the list has no scores; score it with a teacher first")
	case len(l.Scores) != len(l.IDs):
		return fmt.Errorf("%d passages, but %d scores", len(l.IDs), len(l.Scores))
	case len(l.IDs) < 2:
		return fmt.Errorf("the list has %d passages, want at least 2", len(l.IDs))
	case !(l.Weight >= 0) || math.IsInf(l.Weight, 0):
		return fmt.Errorf("weight is %v, want a finite number of at least 0", l.Weight)
	}
	for i, s := range l.Scores {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("score is %v for passage %q, want a finite number", s, l.IDs[i])
		}
	}
	b.seen[l.Query.ID] = true
	return nil
}

// ignoreSources runs last because a source matters only if some list contains it.
func (b *builder) ignoreSources(examples []example, lists []retort.List) {
	for i, l := range lists {
		if !l.Query.Extractive() {
			continue
		}
		if index, ok := b.corpus.Index(l.Query.Source); ok {
			if n, ok := b.number[index]; ok {
				examples[i].ignore = []int32{n}
			}
		}
	}
}

// split holds out a share of the sources with all their lists; a list without a source is its own group. A hash of the
// id selects the sources, so the result depends neither on the order of the lists nor on a seed.
func split(lists []retort.List, fraction float64) (train, dev []retort.List, err error) {
	if fraction == 0 {
		return lists, nil, nil
	}
	groups := map[string][sha256.Size]byte{}
	for _, l := range lists {
		g := group(l.Query)
		groups[g] = sha256.Sum256([]byte(g))
	}
	order := make([]string, 0, len(groups))
	for g := range groups {
		order = append(order, g)
	}
	slices.SortFunc(order, func(a, b string) int {
		x, y := groups[a], groups[b]
		return cmp.Or(slices.Compare(x[:], y[:]), cmp.Compare(a, b))
	})
	n := max(1, int(math.Round(fraction*float64(len(order)))))
	if n >= len(order) {
		return nil, nil, fmt.Errorf(
			"distill: %d lists from %d passages are too few to hold out a share of %v: "+
				"use more lists, set Selection.Dev, or set Selection.DevFraction to 0",
			len(lists), len(order), fraction)
	}
	held := make(map[string]bool, n)
	for _, g := range order[:n] {
		held[g] = true
	}
	for _, l := range lists {
		if held[group(l.Query)] {
			dev = append(dev, l)
		} else {
			train = append(train, l)
		}
	}
	return train, dev, nil
}

func group(q retort.Query) string {
	if q.Source != "" {
		return "passage " + q.Source
	}
	return "query " + q.ID
}
