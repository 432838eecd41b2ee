package teacher

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/retort-ir/retort"
)

// Member is one teacher of an ensemble.
type Member struct {
	Name    string // for errors
	Teacher Teacher
	Weight  float64 // 0 means 1
}

// Ensemble is the weighted sum of its members' scores, each brought to the same scale within the list:
//
//	score(q, p) = sum_m weight_m * (s_m(q, p) - mean_m) / sd_m
//
// with mean and (population) standard deviation over the passages of the call, so a passage's score depends on the list it
// stands in. A score that a member lacks counts as that member's lowest score in the list; a member that scores all
// passages of a list alike, or none, adds nothing to it.
//
// An ensemble has no fingerprint, for the same reason: Cached caches what its members say, never the sum.
type Ensemble struct {
	members []Member
}

// NewEnsemble returns the ensemble of the members. No members, a member without teacher, and a weight that is negative or not
// finite are errors.
func NewEnsemble(members ...Member) (*Ensemble, error) {
	if len(members) == 0 {
		return nil, errors.New("an ensemble needs a member")
	}
	members = slices.Clone(members)
	for i := range members {
		m := &members[i]
		if m.Name == "" {
			m.Name = fmt.Sprintf("%d", i)
		}
		if m.Teacher == nil {
			return nil, fmt.Errorf("member %s of the ensemble: no Teacher", m.Name)
		}
		if m.Weight < 0 || math.IsNaN(m.Weight) || math.IsInf(m.Weight, 0) {
			return nil, fmt.Errorf("member %s of the ensemble: Weight is %v", m.Name, m.Weight)
		}
		if m.Weight == 0 {
			m.Weight = 1
		}
	}
	return &Ensemble{members: members}, nil
}

// Members returns a copy of the members, names and weights filled in.
func (e *Ensemble) Members() []Member { return slices.Clone(e.members) }

// Score returns the fused scores; they are finite. Members are asked one after the other.
func (e *Ensemble) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	fused := make([]float64, len(passages))
	for _, m := range e.members {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scores, err := rawScores(ctx, m.Teacher, q, passages)
		if err != nil {
			return nil, m.failed(err)
		}
		e.add(fused, m, scores)
	}
	return fused, nil
}

// BatchSize is the largest of the members'.
func (e *Ensemble) BatchSize() int {
	size := 1
	for _, m := range e.members {
		size = max(size, batchSize(m.Teacher))
	}
	return size
}

// ScoreBatch asks each member for all lists at once.
func (e *Ensemble) ScoreBatch(ctx context.Context, lists []Work) iter.Seq2[int, Scored] {
	return func(yield func(int, Scored) bool) {
		outcomes := make([]Scored, len(lists))
		good := make([]int, len(lists)) // that no member has failed so far
		for i, list := range lists {
			outcomes[i].Scores, good[i] = make([]float64, len(list.Passages)), i
		}
		for _, m := range e.members {
			good = e.addMember(ctx, m, lists, outcomes, good)
		}
		for i, scored := range outcomes {
			if !yield(i, scored) {
				return
			}
		}
	}
}

// addMember adds a member's part to the lists with these indexes and returns those that it has not failed.
func (e *Ensemble) addMember(ctx context.Context, m Member, lists []Work, outcomes []Scored, indexes []int) []int {
	work := make([]Work, len(indexes))
	for n, i := range indexes {
		work[n] = lists[i]
	}
	for n, scored := range rawEach(ctx, m.Teacher, work) {
		i := indexes[n]
		if scored.Err != nil {
			outcomes[i] = Scored{Err: m.failed(scored.Err)}
			continue
		}
		e.add(outcomes[i].Scores, m, scored.Scores)
	}
	return slices.DeleteFunc(slices.Clone(indexes), func(i int) bool { return outcomes[i].Err != nil })
}

// add adds a member's part of one list.
func (e *Ensemble) add(fused []float64, m Member, scores []float64) {
	for i, z := range ZScores(FillMissing(scores)) {
		fused[i] += m.Weight * z
	}
}

func (m Member) failed(err error) error {
	return fmt.Errorf("member %s of the ensemble: %w", m.Name, err)
}

// ZScores returns (s - mean) / sd of one list's scores, sd being the population standard deviation. Where the scores are
// all the same but for rounding, all are 0. The scores must be finite (see FillMissing).
func ZScores(scores []float64) []float64 {
	z := make([]float64, len(scores))
	if len(scores) == 0 {
		return z
	}
	// Scaled by the largest magnitude: neither sum can overflow.
	var largest float64
	for _, s := range scores {
		largest = max(largest, math.Abs(s))
	}
	if largest == 0 {
		return z
	}
	n := float64(len(scores))
	var mean float64
	for _, s := range scores {
		mean += s / largest / n
	}
	var variance float64
	for i, s := range scores {
		z[i] = s/largest - mean
		variance += z[i] * z[i] / n
	}
	sd := math.Sqrt(variance)
	const rounding = 1e-13
	if sd < rounding {
		clear(z)
		return z
	}
	for i := range z {
		z[i] /= sd
	}
	return z
}
