package pipeline

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// TestCopies counts what was not trained on since it copies one of stages.TestQueries (mine.TestQueries).
type TestCopies struct {
	Exact int      `json:"exact"`
	Near  int      `json:"near"` // the same words, but other case, punctuation or spaces
	IDs   []string `json:"ids"`  // of the first few of those queries
}

// copiesNamed is how many queries TestCopies names.
const copiesNamed = 5

// The reasons why a query or list is dropped that would show the student a passage that is held out.
const (
	reasonHeldOutSource mine.Reason = "source is held out"
	reasonHeldOutBest   mine.Reason = "best passage is held out"
	reasonTestBest      mine.Reason = "best passage is relevant to a test query"
)

// separates says whether anything is kept apart from training.
func (p *stages) separates() bool {
	return len(p.TestQueries) > 0 || len(p.TestSources) > 0 || len(p.HeldOut) > 0
}

// separation are the filters that keep training apart from what the student is measured by.
func (j *job) separation() []queryFilter {
	return []queryFilter{
		{"test queries", len(j.TestQueries) > 0, func(qs []retort.Query) (mine.Selection, error) {
			s := mine.TestQueries(qs, j.TestQueries)
			j.noteCopies(qs, s)
			return s, nil
		}},
		{"test sources", len(j.TestSources) > 0, func(qs []retort.Query) (mine.Selection, error) {
			return mine.TestSources(qs, j.TestSources), nil
		}},
		{"held-out passages", len(j.HeldOut) > 0, func(qs []retort.Query) (mine.Selection, error) {
			return dropWhere(len(qs), func(i int) mine.Reason {
				if j.HeldOut[qs[i].Source] {
					return reasonHeldOutSource
				}
				return ""
			}), nil
		}},
	}
}

// noteCopies counts copies of test queries, and says so.
func (j *job) noteCopies(queries []retort.Query, s mine.Selection) {
	if len(s.Dropped) == 0 {
		return
	}
	if j.funnel.TestCopies == nil {
		j.funnel.TestCopies = &TestCopies{}
	}
	c := j.funnel.TestCopies
	for _, d := range s.Dropped {
		if d.Reason == mine.ReasonTestQuery {
			c.Exact++
		} else {
			c.Near++
		}
		if len(c.IDs) < copiesNamed {
			c.IDs = append(c.IDs, queries[d.Index].ID)
		}
	}
	j.watched().warn("queries that copy test queries are not trained on",
		slog.Int("exact", c.Exact), slog.Int("near", c.Near), slog.String("ids", strings.Join(c.IDs, " ")))
}

// checkSeparated refuses to go on where nothing is left of what was given.
func (j *job) checkSeparated(given, left int, what string) error {
	if j.separates() && given > 0 && left == 0 {
		return j.nothingLeft(given, what)
	}
	return nil
}

// separateLists drops the lists whose query the separation drops, or whose positive is a passage that it keeps out.
func (j *job) separateLists(lists []retort.List) ([]retort.List, error) {
	if !j.separates() {
		return lists, nil
	}
	given := len(lists)
	for _, f := range j.separation() {
		if !f.wanted {
			continue
		}
		s, err := f.filter(queriesOf(lists))
		if err != nil {
			return nil, fmt.Errorf("pipeline: %w", err)
		}
		if lists, err = j.funnel.Funnel.Lists(f.name, lists, s); err != nil {
			return nil, fmt.Errorf("pipeline: %w", err)
		}
	}
	lists, err := j.separatePositives(lists)
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	return lists, j.checkSeparated(given, len(lists), "lists")
}

// separatePositives drops the lists whose positive is relevant to a test query or held out: they are queries of that
// passage as much as those that were made from it.
func (j *job) separatePositives(lists []retort.List) ([]retort.List, error) {
	for _, f := range []struct {
		name     string
		passages map[string]bool
		reason   mine.Reason
	}{
		{"test positives", j.TestSources, reasonTestBest},
		{"held-out positives", j.HeldOut, reasonHeldOutBest},
	} {
		if len(f.passages) == 0 {
			continue
		}
		s := dropWhere(len(lists), func(i int) mine.Reason {
			if f.passages[positiveOf(lists[i])] {
				return f.reason
			}
			return ""
		})
		if len(s.Dropped) == 0 {
			continue
		}
		var err error
		if lists, err = j.funnel.Funnel.Lists(f.name, lists, s); err != nil {
			return nil, err
		}
	}
	return lists, nil
}

// positiveOf is the passage that answers a list's query by its scores: the first of the best. An extractive
// query's list has none, as in training.
func positiveOf(l retort.List) string {
	if l.Query.Extractive() || len(l.Scores) == 0 || len(l.Scores) != len(l.IDs) {
		return ""
	}
	return l.IDs[slices.Index(l.Scores, slices.Max(l.Scores))]
}

func dropWhere(n int, reason func(i int) mine.Reason) mine.Selection {
	var s mine.Selection
	for i := range n {
		if r := reason(i); r != "" {
			s.Dropped = append(s.Dropped, mine.Drop{Index: i, Reason: r, Of: -1})
		} else {
			s.Kept = append(s.Kept, i)
		}
	}
	return s
}

// nothingLeft says what dropped all of the queries or lists that were given.
func (j *job) nothingLeft(given int, what string) error {
	counts := map[mine.Reason]int{}
	for _, f := range j.funnel.Filters {
		for reason, n := range f.Reasons {
			counts[reason] += n
		}
	}
	parts := make([]string, 0, len(counts))
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d: %s", counts[reason], reason))
	}
	err := fmt.Errorf("pipeline: none of %d %s is left to train on (%s)", given, what, strings.Join(parts, "; "))
	if c := j.funnel.TestCopies; c != nil {
		return fmt.Errorf("%w: give queries besides those that the student is measured by, which %s copy",
			err, strings.Join(c.IDs, ", "))
	}
	return err
}
