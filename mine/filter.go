package mine

import (
	"fmt"

	"github.com/retort-ir/retort"
)

// Reason says why a filter dropped something.
type Reason string

// reasonNotInTopK is the reason of RoundTrip.
const reasonNotInTopK Reason = "source not in the top k"

// Selection is what a filter kept and dropped, by index in what it was given, both ascending.
type Selection struct {
	Kept    []int
	Dropped []Drop
}

// Drop is one passage or query that a filter dropped.
type Drop struct {
	Index  int
	Reason Reason
	Of     int // of a near-duplicate: the query that it repeats; otherwise -1
}

// Counts returns how many were dropped for each reason.
func (s Selection) Counts() map[Reason]int {
	counts := map[Reason]int{}
	for _, d := range s.Dropped {
		counts[d.Reason]++
	}
	return counts
}

// Queries returns the queries that a selection among them, all of them, kept.
func (s Selection) Queries(queries []retort.Query) []retort.Query {
	kept := make([]retort.Query, len(s.Kept))
	for i, at := range s.Kept {
		kept[i] = queries[at]
	}
	return kept
}

// selectAll keeps what is not dropped.
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

// RoundTrip keeps the queries whose source is among the first k of their ranking, so that somebody who asks the query
// finds the passage it was made from (Tamber et al. 2025 take k = 20 of the student's ranking). Queries without a
// source are kept. A passage that is the query itself (retort.Query.Is) is not counted. There is one ranking a query; a
// source that the corpus lacks and k < 1 are errors.
func RoundTrip(corpus retort.Corpus, queries []retort.Query, rankings [][]Hit, k int) (Selection, error) {
	if err := checkK(k); err != nil {
		return Selection{}, fmt.Errorf("round trip: %w", err)
	}
	if len(queries) != len(rankings) {
		return Selection{}, fmt.Errorf("round trip: %d queries and %d rankings", len(queries), len(rankings))
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

// sourceOf returns the index of the query's source, -1 where it has none.
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
