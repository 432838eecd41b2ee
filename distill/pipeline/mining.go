package pipeline

import (
	"fmt"
	"math"
)

// Mining says how queries become scored lists. Start from DefaultMining.
type Mining struct {
	// MaxQueries is the most generated queries that are used, drawn by the seed and evenly over their sources: the student
	// would come to prefer a passage that has more queries than others. 0 means all.
	MaxQueries int
	// MaxLists is the most lists that are trained on, drawn as MaxQueries are, after the round trip; 0 means all. A query
	// without a source counts as one of a source of its own.
	MaxLists int
	// RoundTrip keeps a generated query only where its source is among the ranker's first so many; 0 keeps all.
	RoundTrip int
	List      ListShape
	Filters   Filters
	// AgreementWeight makes the agreement of the Teacher's members the list's weight in the loss.
	AgreementWeight bool
	Target          Target
	// Gamma weighs the teacher's z-scores in StudentScale, >= 0.
	Gamma float64
	// Temperature is the student's in StudentScale, > 0. The loss needs it for both teacher and student, and has it where
	// Training.Loss is nil.
	Temperature float64

	seed uint64 // the Recipe's
}

// ListShape says which passages of a ranking are in a list.
type ListShape struct {
	// Top passages of a ranking are taken into the list, and Sample drawn from those after it up to rank Depth.
	Top, Sample, Depth int
	// Min drops lists of fewer passages; 0 means 2, which are always needed.
	Min int
	// DropSource takes an extractive query's source out of its list. A ranker of words finds the source of a verbatim
	// sentence by far, so where it stays its raw score is no higher than the best of the others: else the list would
	// teach nothing but that. The sources of other queries always stay, as they are.
	DropSource bool
}

// Filters drop queries and lists. The zero value drops only queries that equal another one.
type Filters struct {
	// MinWords and MaxWords bound a generated query's length; 0: no bound.
	MinWords, MaxWords int
	// NearDuplicate drops a query whose set of words overlaps an earlier one's so far (mine.NearDuplicateQueries), in
	// (0,1]; 0 drops only queries whose normal form is the same.
	NearDuplicate float64
	// SourceFirst keeps only lists in which the teacher puts the source first (mine.SourceFirst).
	SourceFirst bool
	// TopPercentile drops lists whose highest raw score is below this percentile of all scores (mine.TopScore), in
	// [0,100]; 0 keeps all. It needs a teacher whose scores can be compared between lists.
	TopPercentile float64
	// MinAgreement drops lists on which the members of the Teacher, a teacher.Ensemble of several, agree less
	// (mine.TeachersAgree), in [0,1]; 0 keeps all.
	MinAgreement float64
}

// Validate names the first field that is wrong.
func (m Mining) Validate() error {
	for _, f := range []struct {
		name         string
		value, least int
	}{
		{"MaxQueries", m.MaxQueries, 0},
		{"MaxLists", m.MaxLists, 0},
		{"RoundTrip", m.RoundTrip, 0},
		{"List.Top", m.List.Top, 0},
		{"List.Sample", m.List.Sample, 0},
		{"List.Depth", m.List.Depth, max(m.List.Top+m.List.Sample, 2, m.RoundTrip)},
		{"List.Min", m.List.Min, 0},
		{"Filters.MinWords", m.Filters.MinWords, 0},
		{"Filters.MaxWords", m.Filters.MaxWords, 0},
	} {
		if f.value < f.least {
			return fmt.Errorf("pipeline: Recipe.Mining.%s is %d, want at least %d", f.name, f.value, f.least)
		}
	}
	if err := m.Filters.validate(); err != nil {
		return err
	}
	return m.validateTarget()
}

func (f Filters) validate() error {
	switch {
	case f.MaxWords > 0 && f.MaxWords < f.MinWords:
		return fmt.Errorf("pipeline: Recipe.Mining.Filters.MaxWords is %d, want at least MinWords, %d", f.MaxWords, f.MinWords)
	case !(f.NearDuplicate >= 0 && f.NearDuplicate <= 1):
		return fmt.Errorf("pipeline: Recipe.Mining.Filters.NearDuplicate is %v, want it in [0,1]", f.NearDuplicate)
	case !(f.TopPercentile >= 0 && f.TopPercentile <= 100):
		return fmt.Errorf("pipeline: Recipe.Mining.Filters.TopPercentile is %v, want it in [0,100]", f.TopPercentile)
	case !(f.MinAgreement >= 0 && f.MinAgreement <= 1):
		return fmt.Errorf("pipeline: Recipe.Mining.Filters.MinAgreement is %v, want it in [0,1]", f.MinAgreement)
	}
	return nil
}

func (m Mining) validateTarget() error {
	switch {
	case m.Target > PercentileMinMax:
		return fmt.Errorf("pipeline: Recipe.Mining.Target is %d, want StudentScale, MinMax or PercentileMinMax", m.Target)
	case m.Target == StudentScale && !(m.Gamma >= 0 && !math.IsInf(m.Gamma, 0)):
		return fmt.Errorf("pipeline: Recipe.Mining.Gamma is %v, want at least 0", m.Gamma)
	case m.Target == StudentScale && !(m.Temperature > 0 && !math.IsInf(m.Temperature, 0)):
		return fmt.Errorf("pipeline: Recipe.Mining.Temperature is %v, want above 0", m.Temperature)
	}
	return nil
}
