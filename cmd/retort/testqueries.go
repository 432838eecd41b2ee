package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/mine"
)

// dropTested drops lists whose query copies a query of -test-queries. It prints and counts the dropped lists, and
// refuses to drop all.
func dropTested(ctx context.Context, tested, path string, lists []retort.List, dropped *map[mine.Reason]int,
	p *progress.Progress,
) ([]retort.List, error) {
	if tested == "" {
		return lists, nil
	}
	test, err := loadQueries(ctx, tested)
	if err != nil {
		return nil, err
	}
	queries := make([]retort.Query, len(lists))
	for i, l := range lists {
		queries[i] = l.Query
	}
	s := mine.TestQueries(queries, test)
	if len(s.Dropped) == 0 {
		return lists, nil
	}
	const named = 5
	var ids []string
	for _, d := range s.Dropped[:min(named, len(s.Dropped))] {
		ids = append(ids, queries[d.Index].ID)
	}
	counts := s.Counts()
	copies := fmt.Sprintf("%d exact and %d near-copies of queries in %s: %s",
		counts[mine.ReasonTestQuery], counts[mine.ReasonNearTestQuery], tested, strings.Join(ids, " "))
	if len(s.Kept) == 0 {
		return nil, fmt.Errorf("%s: all %d queries are copies of test queries (%s): give other queries",
			path, len(lists), copies)
	}
	p.Print(fmt.Sprintf("%s: dropped %s", path, copies))
	if *dropped == nil {
		*dropped = map[mine.Reason]int{}
	}
	for reason, n := range counts {
		(*dropped)[reason] += n
	}
	return s.Lists(lists), nil
}
