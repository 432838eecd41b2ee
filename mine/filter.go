package mine

import (
	"fmt"

	"github.com/retort-ir/retort"
)

// Reason is the reason why a filter dropped a query or list.
type Reason string

// reasonNotInTopK is the reason of RoundTrip.
const reasonNotInTopK Reason = "source not in the top k"

// Selection is the outcome of a filter: the indices in its input that it kept and dropped, both ascending.
type Selection struct {
	Kept    []int
	Dropped []Drop
}

// Drop is one query or list that a filter dropped.
type Drop struct {
	Index  int
	Reason Reason
	Of     int // index of the query that a near-duplicate repeats; otherwise -1
}

// Counts returns the number of drops for each reason.
func (s Selection) Counts() map[Reason]int {
	counts := map[Reason]int{}
	for _, d := range s.Dropped {
		counts[d.Reason]++
	}
	return counts
}

// Queries returns the queries that the selection kept. queries must be the input of the filter.
func (s Selection) Queries(queries []retort.Query) []retort.Query {
	kept := make([]retort.Query, len(s.Kept))
	for i, at := range s.Kept {
		kept[i] = queries[at]
	}
	return kept
}

// selectAll returns the selection that keeps everything except dropped.
func selectAll(n int, dropped map[int]Drop) Selection {
	var s Selection
	for i := range n {
		if d, ok := dropped[i]; ok {
			s.Dropped = append(s.Dropped, d)
		} else {
			s.Kept = append(s.Kept, i)
		}
	}
	return s
}

// RoundTrip keeps the queries whose source is among the k best passages of their ranking, so that a search with the
// query finds the passage that it was generated from (Tamber et al. 2025 use the student's ranking and k = 20). It
// keeps queries without a source. A passage that is the query itself (retort.Query.Is) does not count. rankings has one
// ranking per query. A source that is not in the corpus and k < 1 are errors.
func RoundTrip(corpus retort.Corpus, queries []retort.Query, rankings [][]Hit, k int) (Selection, error) {
	if err := checkK(k); err != nil {
		return Selection{}, fmt.Errorf("round trip: %w", err)
	}
	if len(queries) != len(rankings) {
		return Selection{}, fmt.Errorf("round trip: %d queries, but %d rankings", len(queries), len(rankings))
	}
	dropped := map[int]Drop{}
	for i, q := range queries {
		source, err := sourceOf(corpus, q)
		if err != nil {
			return Selection{}, fmt.Errorf("round trip: %w", err)
		}
		if source < 0 {
			continue
		}
		ranking, err := withoutItself(corpus, q, rankings[i])
		if err != nil {
			return Selection{}, fmt.Errorf("round trip: %w", err)
		}
		if !holds(ranking[:min(k, len(ranking))], source) {
			dropped[i] = Drop{i, reasonNotInTopK, -1}
		}
	}
	return selectAll(len(queries), dropped), nil
}

// sourceOf returns the index of the query's source, -1 if it has none.
func sourceOf(corpus retort.Corpus, q retort.Query) (int, error) {
	if q.Source == "" {
		return -1, nil
	}
	i, ok := corpus.Index(q.Source)
	if !ok {
		return 0, fmt.Errorf("query %q: its source %q is not in the corpus", q.ID, q.Source)
	}
	return i, nil
}

func holds(ranking []Hit, index int) bool {
	for _, h := range ranking {
		if h.Index == index {
			return true
		}
	}
	return false
}
