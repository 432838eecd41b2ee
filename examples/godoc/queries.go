package godoc

import (
	"slices"

	"github.com/retort-ir/retort"
)

// QuerySet is queries with the ids of the passages that answer them.
type QuerySet struct {
	Queries []retort.Query
	// Qrels maps a query's id to its relevant passages' ids, each with the gain 1.
	Qrels map[string]map[string]int
	// Unknown are the ids judged relevant that the corpus does not hold, sorted, each once: symbols that another version
	// of Go has.
	Unknown []string
	// Dropped are the ids of the queries left out because the corpus holds none of their relevant passages.
	Dropped []string
}

// judge adds a query with those of the relevant ids that the corpus holds.
func (s *QuerySet) judge(q retort.Query, relevant []string, corpus retort.Corpus) {
	gains := map[string]int{}
	for _, id := range relevant {
		if _, known := corpus.Index(id); known {
			gains[id] = 1
		} else {
			s.Unknown = append(s.Unknown, id)
		}
	}
	if len(gains) == 0 {
		s.Dropped = append(s.Dropped, q.ID)
		return
	}
	s.Queries = append(s.Queries, q)
	s.Qrels[q.ID] = gains
}

func (s *QuerySet) finish() {
	slices.Sort(s.Unknown)
	s.Unknown = slices.Compact(s.Unknown)
}
