package mine

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/retort-ir/retort"
)

// ListOptions define the passages of a ranking that form a query's list.
type ListOptions struct {
	Top    int    // number of best passages to take
	Sample int    // number of passages to draw uniformly at random
	Depth  int    // last rank of the draw, which starts after Top; at least Top + Sample
	Seed   uint64 // seed of the draw, which also depends on the query's id but not on other queries

	// KeepSource includes the query's source in its list if its rank is at most Depth; it replaces the last passage if
	// it was not selected. If false, lists never contain the source. A lexical ranker gives the source of an extractive
	// query by far the highest score, so that the list teaches nothing else.
	KeepSource bool
	// WithScores copies the scores of the ranking to the lists, for a ranking by the teacher.
	WithScores bool
}

// Validate returns an error that names the first invalid field.
func (o ListOptions) Validate() error {
	switch {
	case o.Top < 0:
		return fmt.Errorf("ListOptions.Top is %d: must be at least 0", o.Top)
	case o.Sample < 0:
		return fmt.Errorf("ListOptions.Sample is %d: must be at least 0", o.Sample)
	case o.Top+o.Sample == 0:
		return errors.New("ListOptions.Top and Sample are 0: lists would be empty")
	case o.Depth < o.Top+o.Sample:
		return fmt.Errorf("ListOptions.Depth is %d: must be at least Top + Sample, %d", o.Depth, o.Top+o.Sample)
	}
	return nil
}

// Lists returns one candidate list per query, selected from the query's ranking and in the order of the ranking. Ranks
// do not count the source unless KeepSource is set, and never count a passage that is the query itself
// (retort.Query.Is). A short ranking gives a short list, which may be empty. rankings has one ranking per query. A
// passage that is outside the corpus or ranked twice, and a source that is not in the corpus, are errors.
func Lists(corpus retort.Corpus, queries []retort.Query, rankings [][]Hit, options ListOptions) ([]retort.List, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if len(queries) != len(rankings) {
		return nil, fmt.Errorf("lists: %d queries, but %d rankings", len(queries), len(rankings))
	}
	lists := make([]retort.List, len(queries))
	for i, q := range queries {
		list, err := options.list(corpus, q, rankings[i])
		if err != nil {
			return nil, fmt.Errorf("lists: %w", err)
		}
		lists[i] = list
	}
	return lists, nil
}

func (o ListOptions) list(corpus retort.Corpus, q retort.Query, ranking []Hit) (retort.List, error) {
	source, err := sourceOf(corpus, q)
	if err != nil {
		return retort.List{}, err
	}
	if err := checkRanking(ranking); err != nil {
		return retort.List{}, fmt.Errorf("query %q: %w", q.ID, err)
	}
	if source >= 0 && !o.KeepSource {
		ranking = slices.DeleteFunc(slices.Clone(ranking), func(h Hit) bool { return h.Index == source })
	}
	if ranking, err = withoutItself(corpus, q, ranking); err != nil {
		return retort.List{}, err
	}
	list := retort.List{Query: q, IDs: []string{}}
	picked := o.pick(q.ID, ranking)
	if o.KeepSource {
		picked = withSource(picked, ranking[:min(o.Depth, len(ranking))], source)
	}
	for _, h := range picked {
		p, err := corpus.At(h.Index)
		if err != nil {
			return retort.List{}, fmt.Errorf("query %q: %w", q.ID, err)
		}
		list.IDs = append(list.IDs, p.ID)
		if o.WithScores {
			list.Scores = append(list.Scores, float64(h.Score))
		}
	}
	return list, nil
}

// withoutItself returns the ranking without the passage that is the query itself.
func withoutItself(corpus retort.Corpus, q retort.Query, ranking []Hit) ([]Hit, error) {
	itself, err := itselfOf(corpus, q)
	if err != nil || itself < 0 {
		return ranking, err
	}
	return slices.DeleteFunc(slices.Clone(ranking), func(h Hit) bool { return h.Index == itself }), nil
}

// itselfOf returns the index of the passage that is the query itself, or -1.
func itselfOf(corpus retort.Corpus, q retort.Query) (int, error) {
	index, ok := corpus.Index(q.ID)
	if !ok {
		return -1, nil
	}
	p, err := corpus.At(index)
	if err != nil {
		return -1, fmt.Errorf("query %q: %w", q.ID, err)
	}
	if !q.Is(p) {
		return -1, nil
	}
	return index, nil
}

// WithoutThemselves returns copies of the lists without the passages that are the list's query itself, and the number
// of lists that had such a passage. It does not change lists.
func WithoutThemselves(corpus retort.Corpus, lists []retort.List) ([]retort.List, int, error) {
	out, changed := slices.Clone(lists), 0
	for i, l := range lists {
		at := slices.Index(l.IDs, l.Query.ID)
		if at < 0 {
			continue
		}
		itself, err := itselfOf(corpus, l.Query)
		if err != nil {
			return nil, 0, err
		}
		if itself < 0 {
			continue
		}
		changed++
		out[i].IDs = slices.Delete(slices.Clone(l.IDs), at, at+1)
		if l.Scores != nil {
			out[i].Scores = slices.Delete(slices.Clone(l.Scores), at, at+1)
		}
	}
	return out, changed, nil
}

// Themselves returns the number of queries that are passages of the corpus (retort.Query.Is).
func Themselves(corpus retort.Corpus, queries []retort.Query) (int, error) {
	n := 0
	for _, q := range queries {
		itself, err := itselfOf(corpus, q)
		if err != nil {
			return n, err
		}
		if itself >= 0 {
			n++
		}
	}
	return n, nil
}

// pick returns the top and the sample of the ranking, in the order of the ranking.
func (o ListOptions) pick(queryID string, ranking []Hit) []Hit {
	top := min(o.Top, len(ranking))
	next := ranking[top:max(top, min(o.Depth, len(ranking)))]
	if len(next) <= o.Sample {
		return ranking[:top+len(next)]
	}
	hash := fnv.New64a()
	hash.Write([]byte(queryID))
	draw := rand.New(rand.NewPCG(o.Seed, hash.Sum64())).Perm(len(next))[:o.Sample]
	slices.Sort(draw)
	picked := slices.Clone(ranking[:top])
	for _, at := range draw {
		picked = append(picked, next[at])
	}
	return picked
}

// withSource replaces the last hit by the source if the ranking contains the source and the picked hits do not.
func withSource(picked, ranking []Hit, source int) []Hit {
	isSource := func(h Hit) bool { return h.Index == source }
	at := slices.IndexFunc(ranking, isSource)
	if at < 0 || slices.ContainsFunc(picked, isSource) {
		return picked
	}
	rank := map[int]int{}
	for r, h := range ranking {
		rank[h.Index] = r
	}
	picked = append(slices.Clone(picked[:len(picked)-1]), ranking[at])
	slices.SortFunc(picked, func(a, b Hit) int { return cmp.Compare(rank[a.Index], rank[b.Index]) })
	return picked
}
