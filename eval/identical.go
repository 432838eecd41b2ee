package eval

import (
	"fmt"

	"github.com/retort-ir/retort"
)

// IdenticalIDs says which queries of a collection are passages themselves. Such a passage is left out of its query's
// ranking: a search finds it first and it answers nothing.
type IdenticalIDs int

// The rules.
const (
	// IgnoreSameText takes a query for the passage of its id where the text is the same too (retort.Query.Is), unless
	// the judgements say that this passage answers the query. It is the rule of a new Collection.
	IgnoreSameText IdenticalIDs = iota
	// IgnoreSameID looks at the ids only, as the evaluation of BEIR does.
	IgnoreSameID
	// IgnoreNone leaves every passage in the rankings, as trec_eval does.
	IgnoreNone
)

// SetIdentical sets Itself by the rule, and returns how many queries have the id of a passage and are not taken for it.
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

// IsItself reports whether the query is that passage, which its ranking leaves out.
func (c *Collection) IsItself(q retort.Query, passageID string) bool {
	return q.ID == passageID && c.Itself[q.ID]
}

// Strip takes the passages that are their query out of a run, which it changes.
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
