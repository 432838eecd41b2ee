package teacher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/zscore"
)

// Member is one teacher of an ensemble.
type Member struct {
	Name    string // for errors
	Teacher Teacher
	Weight  float64 // 0 means 1
}

// Fusion is the method by which an Ensemble converts its members' scores of a list to one scale.
type Fusion uint8

const (
	// ZScore standardises them: (s - mean) / sd, with mean and population standard deviation over the list.
	ZScore Fusion = iota
	// ReciprocalRank uses 1 / (60 + rank), where rank 1 is the highest score and equal scores share the mean of their
	// ranks. The top ranks count most, and the distances between scores do not count. Cormack, Clarke, Büttcher (2009),
	// "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods", SIGIR.
	ReciprocalRank
)

func (f Fusion) String() string {
	if f == ReciprocalRank {
		return "reciprocal ranks"
	}
	return "z-scores"
}

// Ensemble is the weighted sum of its members' scores, converted to one scale within the list:
//
//	score(q, p) = sum_m weight_m * f(s_m(q, p))
//
// where f is the function of the Fusion over the passages of the call, so the score of a passage depends on its list. A
// missing score counts as the member's lowest score in the list. A member that gives all passages the same score, or no
// score, does not affect the order. It is safe for concurrent use.
//
// Therefore an ensemble has no fingerprint: Cached caches the scores of the members.
type Ensemble struct {
	members []Member
	fusion  Fusion
}

// NewEnsemble returns the ensemble of the members, fused by z-scores. No members, a member without teacher, and a
// weight that is negative or not finite are errors.
func NewEnsemble(members ...Member) (*Ensemble, error) { return newEnsemble(ZScore, members) }

// NewRankFusion returns the ensemble of the members, fused by reciprocal ranks, with the same errors as NewEnsemble.
func NewRankFusion(members ...Member) (*Ensemble, error) { return newEnsemble(ReciprocalRank, members) }

func newEnsemble(fusion Fusion, members []Member) (*Ensemble, error) {
	if len(members) == 0 {
		return nil, errors.New("an ensemble needs at least one member")
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
	return &Ensemble{members: members, fusion: fusion}, nil
}

// Members returns a copy of the members, names and weights filled in.
func (e *Ensemble) Members() []Member { return slices.Clone(e.members) }

// Fusion returns the method of fusion.
func (e *Ensemble) Fusion() Fusion { return e.fusion }

// Score returns the fused scores, which are finite. It calls the members one after another.
func (e *Ensemble) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	opinions := make([][]float64, len(e.members))
	for i, m := range e.members {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scores, err := rawScores(ctx, m.Teacher, q, passages)
		if err != nil {
			return nil, m.failed(err)
		}
		opinions[i] = scores
	}
	return e.fuse(opinions, len(passages)), nil
}

// BatchSize returns the largest batch size of the members.
func (e *Ensemble) BatchSize() int {
	size := 1
	for _, m := range e.members {
		size = max(size, batchSize(m.Teacher))
	}
	return size
}

// ScoreBatch calls each member with all lists at once. With two or more members it sets Scored.Agreement.
func (e *Ensemble) ScoreBatch(ctx context.Context, lists []Work) iter.Seq2[int, Scored] {
	return func(yield func(int, Scored) bool) {
		opinions := make([][][]float64, len(lists)) // [list][member][passage]
		errs := make([]error, len(lists))
		for _, m := range e.members {
			m.ask(ctx, lists, opinions, errs)
		}
		for i, list := range lists {
			scored := Scored{Err: errs[i]}
			if scored.Err == nil {
				scored.Scores, scored.Agreement = e.fuse(opinions[i], len(list.Passages)), agreement(opinions[i])
			}
			if !yield(i, scored) {
				return
			}
		}
	}
}

// ask adds the member's opinions of the lists that no member has failed so far.
func (m Member) ask(ctx context.Context, lists []Work, opinions [][][]float64, errs []error) {
	var work []Work
	var at []int // their places in lists
	for i, list := range lists {
		if errs[i] == nil {
			work, at = append(work, list), append(at, i)
		}
	}
	for n, scored := range rawEach(ctx, m.Teacher, work) {
		i := at[n]
		if scored.Err != nil {
			errs[i] = m.failed(scored.Err)
			continue
		}
		opinions[i] = append(opinions[i], scored.Scores)
	}
}

// fuse takes the members' scores of one list of n passages.
func (e *Ensemble) fuse(opinions [][]float64, n int) []float64 {
	fused := make([]float64, n)
	for i, scores := range opinions {
		for j, s := range e.fusion.standardise(scores) {
			fused[j] += e.members[i].Weight * s
		}
	}
	return fused
}

// standardise puts one list's scores, some of which may be missing, on the common scale.
func (f Fusion) standardise(scores []float64) []float64 {
	if f == ReciprocalRank {
		return reciprocalRanks(fillMissing(scores))
	}
	return ZScores(fillMissing(scores))
}

func (m Member) failed(err error) error {
	return fmt.Errorf("member %s of the ensemble: %w", m.Name, err)
}

// ZScores returns (s - mean) / sd for the scores of one list, where sd is the population standard deviation. If all
// scores are equal up to rounding, the result is 0 for each. The scores must be finite.
func ZScores(scores []float64) []float64 {
	scale := zscore.Of(len(scores), func(i int) float64 { return scores[i] })
	z := make([]float64, len(scores))
	for i, s := range scores {
		z[i] = scale.Z(s)
	}
	return z
}

// rankConstant is k of reciprocal rank fusion, as its authors chose it.
const rankConstant = 60

// reciprocalRanks returns 1 / (60 + rank) of one list's scores; equal scores share the mean of their ranks. The scores
// must be finite.
func reciprocalRanks(scores []float64) []float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	reciprocal := make([]float64, len(scores))
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && scores[order[end]] == scores[order[start]] {
			end++
		}
		rank := float64(start+1+end) / 2 // the mean of start+1 ... end
		for _, i := range order[start:end] {
			reciprocal[i] = 1 / (rankConstant + rank)
		}
		start = end
	}
	return reciprocal
}
