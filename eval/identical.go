package eval

import (
	"fmt"

	"github.com/retort-ir/retort"
)

// IdenticalIDs is a rule for queries of a collection that are themselves passages. The ranking of such a query omits
// the passage, because a search finds it first although it does not answer the query.
type IdenticalIDs int

// The rules.
const (
	// IgnoreSameText omits a passage with the same id and the same text as the query (retort.Query.Is), unless it is
	// judged relevant to the query. It is the default of a new Collection.
	IgnoreSameText IdenticalIDs = iota
	// IgnoreSameID omits a passage with the same id as the query, like the evaluation of BEIR.
	IgnoreSameID
	// IgnoreNone keeps all passages in the rankings, like trec_eval.
	IgnoreNone
)

// SetIdentical sets Itself by the rule. It returns the number of queries that have the id of a passage but are not in
// Itself.
func (c *Collection) SetIdentical(rule IdenticalIDs) (others int, err error) {
	c.Itself = nil
	for _, q := range c.Queries {
		index, ok := c.Corpus.Index(q.ID)
		if !ok {
			continue
		}
		is := rule == IgnoreSameID
		if rule == IgnoreSameText {
			p, err := c.Corpus.At(index)
			if err != nil {
				return others, fmt.Errorf("query %q: %w", q.ID, err)
			}
			is = q.Is(p) && c.Qrels[q.ID][p.ID] <= 0
		}
		if !is {
			others++
			continue
		}
		if c.Itself == nil {
			c.Itself = map[string]bool{}
		}
		c.Itself[q.ID] = true
	}
	return others, nil
}

// IsItself reports whether the query is the passage with the given id, so that its ranking must omit the passage.
func (c *Collection) IsItself(q retort.Query, passageID string) bool {
	return q.ID == passageID && c.Itself[q.ID]
}

// Strip removes the passages that are their query from run.
func (c *Collection) Strip(run Run) {
	for query := range c.Itself {
		kept := run[query][:0]
		for _, hit := range run[query] {
			if hit.ID != query {
				kept = append(kept, hit)
			}
		}
		if run[query] != nil {
			run[query] = kept
		}
	}
}
