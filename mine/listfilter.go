package mine

import (
	"fmt"
	"math"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/percentile"
)

// The reasons of the filters of lists.
const (
	reasonSourceNotFirst Reason = "source not the teacher's first"
	reasonLowTopScore    Reason = "top score below the percentile"
	reasonShortList      Reason = "list too short"
	reasonDisagreement   Reason = "the teachers disagree"
)

// Lists returns the lists that the selection kept. lists must be the input of the filter.
func (s Selection) Lists(lists []retort.List) []retort.List {
	kept := make([]retort.List, len(s.Kept))
	for i, at := range s.Kept {
		kept[i] = lists[at]
	}
	return kept
}

// SourceFirst keeps the scored lists in which no passage has a higher score than the query's source, so that teacher
// and generator agree on the passage that answers the query (Tamber et al. 2025). It keeps lists whose query has no
// source, and lists of extractive queries without their source (see ListOptions.KeepSource). It drops every other list
// that does not contain the source. Lists without scores are an error.
func SourceFirst(lists []retort.List) (Selection, error) {
	dropped := map[int]Drop{}
	for i, l := range lists {
		top, err := topScore(l)
		if err != nil {
			return Selection{}, fmt.Errorf("source first: %w", err)
		}
		if l.Query.Source == "" {
			continue
		}
		at := slices.Index(l.IDs, l.Query.Source)
		if at < 0 && l.Query.Extractive() {
			continue
		}
		if at < 0 || l.Scores[at] < top {
			dropped[i] = Drop{i, reasonSourceNotFirst, -1}
		}
	}
	return selectAll(len(lists), dropped), nil
}

// TopScore drops the lists whose highest score is below the p-th percentile, 0 <= p <= 100, of all scores of all lists
// with the same query type, because no passage answers the query well. Tamber et al. 2025 use p = 25.
//
// Percentiles are interpolated linearly between the closest ranks, as numpy.percentile does. The scores must be
// comparable between lists: do not scale each list to [0,1] separately before. An empty list is dropped; lists without
// scores are an error.
func TopScore(lists []retort.List, p float64) (Selection, error) {
	if !(0 <= p && p <= 100) {
		return Selection{}, fmt.Errorf("top score: percentile is %v: must be in [0,100]", p)
	}
	tops := make([]float64, len(lists))
	scores := map[string][]float64{} // by query type
	for i, l := range lists {
		var err error
		if tops[i], err = topScore(l); err != nil {
			return Selection{}, fmt.Errorf("top score: %w", err)
		}
		scores[l.Query.Type] = append(scores[l.Query.Type], l.Scores...)
	}
	least := make(map[string]float64, len(scores))
	for kind, all := range scores {
		if len(all) > 0 {
			slices.Sort(all)
			least[kind] = percentile.Of(all, p)
		}
	}
	dropped := map[int]Drop{}
	for i, l := range lists {
		if tops[i] < least[l.Query.Type] {
			dropped[i] = Drop{i, reasonLowTopScore, -1}
		}
	}
	return selectAll(len(lists), dropped), nil
}

// ListLength drops the lists of fewer than least passages. Tamber et al. 2025 use 20. The lists need no scores; least <
// 1 is an error.
func ListLength(lists []retort.List, least int) (Selection, error) {
	if least < 1 {
		return Selection{}, fmt.Errorf("list length: the least is %d: must be at least 1", least)
	}
	dropped := map[int]Drop{}
	for i, l := range lists {
		if len(l.IDs) < least {
			dropped[i] = Drop{i, reasonShortList, -1}
		}
	}
	return selectAll(len(lists), dropped), nil
}

// TeachersAgree drops the lists whose agreement is below least, in [0,1]. agreement has one value per list, in [0,1]:
// teacher.Scored.Agreement (1/2 for uncorrelated teachers) or another measure of confidence.
func TeachersAgree(lists []retort.List, agreement []float64, least float64) (Selection, error) {
	if len(agreement) != len(lists) {
		return Selection{}, fmt.Errorf("teachers agree: %d agreements for %d lists", len(agreement), len(lists))
	}
	if !(0 <= least && least <= 1) {
		return Selection{}, fmt.Errorf("teachers agree: the least is %v: must be in [0,1]", least)
	}
	dropped := map[int]Drop{}
	for i, a := range agreement {
		if !(0 <= a && a <= 1) {
			return Selection{}, fmt.Errorf("teachers agree: list of query %q has agreement %v: must be in [0,1]",
				lists[i].Query.ID, a)
		}
		if a < least {
			dropped[i] = Drop{i, reasonDisagreement, -1}
		}
	}
	return selectAll(len(lists), dropped), nil
}

// topScore returns the highest score of a list, -Inf for an empty one.
func topScore(l retort.List) (float64, error) {
	if len(l.Scores) != len(l.IDs) {
		what := fmt.Sprintf("%d passages, but %d scores", len(l.IDs), len(l.Scores))
		if l.Scores == nil {
			what = "no scores; score it with a teacher first"
		}
		return 0, fmt.Errorf("list of query %q has %s", l.Query.ID, what)
	}
	top := math.Inf(-1)
	for i, s := range l.Scores {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return 0, fmt.Errorf("list of query %q has score %v for passage %q, want a finite number", l.Query.ID, s, l.IDs[i])
		}
		top = max(top, s)
	}
	return top, nil
}
