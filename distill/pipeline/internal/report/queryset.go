package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/retort-ir/retort/eval"
)

// Systems are the evaluations of what a report compares, over the same queries and metrics. Before and After are needed,
// BM25 and Teacher may be nil.
type Systems struct {
	BM25, Before, Teacher, After *eval.Report
}

// Judged makes a query set: every metric of After with its paired comparison (eval.Compare with the seed), and the gains in
// the first of them. The texts and passages of the gains are for the caller to fill in, where Extremes says.
func Judged(ctx context.Context, name string, s Systems, seed uint64) (QuerySet, error) {
	if s.Before == nil || s.After == nil || len(s.After.Metrics) == 0 {
		return QuerySet{}, fmt.Errorf("query set %q: no evaluation before or after", name)
	}
	set := QuerySet{Name: name}
	for _, key := range s.After.Metrics {
		m := eval.Metric{Name: key}
		difference, err := eval.Compare(ctx, s.Before, s.After, m, seed)
		if err != nil {
			return QuerySet{}, fmt.Errorf("query set %q: %w", name, err)
		}
		set.Metrics = append(set.Metrics, Metric{
			Name: m.Title(), BM25: meanOf(s.BM25, m), Before: meanOf(s.Before, m), Teacher: meanOf(s.Teacher, m),
			After: meanOf(s.After, m), Difference: &difference,
		})
	}
	first := eval.Metric{Name: s.After.Metrics[0]}
	set.GainMetric = first.Title()
	before, after := s.Before.Of(first), s.After.Of(first)
	for i, id := range s.After.Queries {
		set.Gains = append(set.Gains, Gain{ID: id, Before: before[i], After: after[i]})
	}
	return set, nil
}

func meanOf(r *eval.Report, m eval.Metric) *float64 {
	if r == nil || r.Of(m) == nil {
		return nil
	}
	mean := r.Mean(m)
	return &mean
}

// ExtremeQueries is how many queries the page shows at either end.
const ExtremeQueries = 10

// Extremes returns the indices in Gains of the queries that gained most, best first, and of those that lost most, worst
// first: at most n each, none that stayed as it was. Equal gains keep their order.
func (s QuerySet) Extremes(n int) (helped, hurt []int) {
	for _, i := range s.sorted(func(g Gain) float64 { return -g.gain() }) {
		if len(helped) < n && s.Gains[i].gain() > 0 {
			helped = append(helped, i)
		}
	}
	for _, i := range s.sorted(Gain.gain) {
		if len(hurt) < n && s.Gains[i].gain() < 0 {
			hurt = append(hurt, i)
		}
	}
	return helped, hurt
}

// sorted returns the indices of Gains by key, ascending, equals in their order.
func (s QuerySet) sorted(key func(Gain) float64) []int {
	order := make([]int, len(s.Gains))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(key(s.Gains[a]), key(s.Gains[b])) })
	return order
}

func (g Gain) gain() float64 { return g.After - g.Before }
