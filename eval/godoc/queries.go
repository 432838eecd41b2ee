package godoc

import (
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
)

// querySet is queries with the ids of the passages that answer them.
type querySet struct {
	Queries []retort.Query
	// Qrels maps a query's id to its relevant passages' ids, each with the gain 1.
	Qrels eval.Qrels
	// unknown are the ids judged relevant that the corpus does not hold, sorted, each once: symbols that another version
	// of Go has.
	unknown []string
	// dropped are the ids of the queries left out because the corpus holds none of their relevant passages.
	dropped []string
}

// judge adds a query with those of the relevant ids that the corpus holds.
func (s *querySet) judge(q retort.Query, relevant []string, corpus retort.Corpus) {
	gains := map[string]int{}
	for _, id := range relevant {
		if _, known := corpus.Index(id); known {
			gains[id] = 1
		} else {
			s.unknown = append(s.unknown, id)
		}
	}
	if len(gains) == 0 {
		s.dropped = append(s.dropped, q.ID)
		return
	}
	s.Queries = append(s.Queries, q)
	s.Qrels[q.ID] = gains
}

// collection is the set as a collection of the corpus that it was judged against.
func (s *querySet) collection(corpus retort.Corpus) *eval.Collection {
	return &eval.Collection{Corpus: corpus, Queries: s.Queries, Qrels: s.Qrels}
}

func (s *querySet) finish() {
	slices.Sort(s.unknown)
	s.unknown = slices.Compact(s.unknown)
}
