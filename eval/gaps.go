package eval

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort"
)

// Gaps are the judged passages and queries that are not in the other files of a collection.
type Gaps struct {
	Passages []string // ids, ascending; no search can return them, and they count as not found
	Queries  []string // ids, ascending; the evaluation ignores them
}

// gaps returns the judged passages and queries that are not in the corpus and the queries.
func (q Qrels) gaps(corpus retort.Corpus, queries []retort.Query) Gaps {
	known := make(map[string]bool, len(queries))
	for _, query := range queries {
		known[query.ID] = true
	}
	unknownQueries, unknownPassages := map[string]bool{}, map[string]bool{}
	for query, grades := range q {
		if !known[query] {
			unknownQueries[query] = true
		}
		for passage := range grades {
			if _, ok := corpus.Index(passage); !ok {
				unknownPassages[passage] = true
			}
		}
	}
	return Gaps{slices.Sorted(maps.Keys(unknownPassages)), slices.Sorted(maps.Keys(unknownQueries))}
}

// Err returns an error that names the first few of each kind, or nil if nothing is missing.
func (g Gaps) Err() error {
	return errors.Join(unknown("passages", "the corpus", g.Passages), unknown("queries", "the queries", g.Queries))
}

// Warnings returns one line per kind that says what is missing and how the evaluation treats it.
func (g Gaps) Warnings() []string {
	var lines []string
	if len(g.Passages) > 0 {
		lines = append(lines,
			fmt.Sprintf("%d judged passages are not in the corpus (%s): no search can find them, and they count as not found",
				len(g.Passages), firstFew(g.Passages)))
	}
	if len(g.Queries) > 0 {
		lines = append(lines,
			fmt.Sprintf("%d judged queries are not among the queries (%s): the evaluation ignores them", len(g.Queries),
				firstFew(g.Queries)))
	}
	return lines
}

// Check returns an error, with the number and the first few ids, if there are judgements of passages that are not in
// the corpus or of queries that are not in queries.
func (q Qrels) Check(corpus retort.Corpus, queries []retort.Query) error {
	return q.gaps(corpus, queries).Err()
}

// checkOverlap returns an error if no judged passage or no judged query exists: the judgements belong to another
// collection.
func (g Gaps) checkOverlap(q Qrels) error {
	passages := map[string]bool{}
	for _, grades := range q {
		for passage := range grades {
			passages[passage] = true
		}
	}
	if len(g.Passages) == len(passages) || len(g.Queries) == len(q) {
		return g.Err()
	}
	return nil
}

func unknown(what, where string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return fmt.Errorf("the qrels name %d %s that are not in %s (%s): do the files belong together?", len(ids), what,
		where,
		firstFew(ids))
}

func firstFew(ids []string) string {
	const shown = 3
	var names []string
	for _, id := range ids[:min(shown, len(ids))] {
		names = append(names, strconv.Quote(id))
	}
	if len(ids) > shown {
		names = append(names, "...")
	}
	return strings.Join(names, ", ")
}
