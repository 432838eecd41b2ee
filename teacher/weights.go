package teacher

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/retort-ir/retort/eval"
)

// Judged is a list of a dev split with the scores of each teacher and the judgements of its passages.
type Judged struct {
	Scores [][]float64 // one slice a teacher, one score a passage; NaN: missing
	Grades []int       // one grade per passage; 0 or less: not relevant
	Missed []int       // grades of relevant passages outside the list, which count in the ideal DCG
}

// WeightOptions are the settings of FitWeights. Split and Names must be set.
type WeightOptions struct {
	Split  string   // the dev split, for whoever reads the result: "SciFact train, 300 queries"
	Names  []string // of the teachers, in the order of Judged.Scores
	Fusion Fusion
	// Grid holds the candidate weights, >= 0; nil means 0, 1/4, 1/2, 3/4, 1, 1 1/2, 2, 3, 4.
	Grid []float64
	Seed uint64 // of the significance test
}

// Weights are the outcome of FitWeights.
type Weights struct {
	Split   string    `json:"split"`
	Queries int       `json:"queries"` // of the split
	Names   []string  `json:"names"`
	Fusion  Fusion    `json:"fusion"`
	Weights []float64 `json:"weights"` // to be used: Fitted, or all 1 where the gain was not sure enough
	Fitted  []float64 `json:"fitted"`  // the best on the split
	Equal   float64   `json:"equal"`   // nDCG@10 on the split with all weights 1
	Best    float64   `json:"best"`    // nDCG@10 on the split with Fitted; flattering, since it was chosen there
	Kept    bool      `json:"kept"`    // whether Weights are Fitted
	// CrossValidated compares fitted with equal weights by five-fold cross-validation.
	CrossValidated eval.Comparison `json:"cross_validated"`
}

// metric is what the weights are fitted on.
var metric = eval.NDCG(10)

// weightP is the p-value that a cross-validated gain must be below.
const weightP = 0.05

// folds of the cross-validation: list i belongs to fold i mod 5.
const folds = 5

// FitWeights fits the weights of an ensemble to maximise the mean nDCG@10 of the fused scores over the lists, by
// coordinate ascent: it starts with all weights 1 and sets one weight after another to the best value of the grid until
// none changes. It keeps equal weights unless five-fold cross-validation shows a mean gain above 0 with p < .05 by a
// paired randomisation test. Equal arguments give equal results.
//
// The lists must come from a dev split, never from the queries that results are reported on. Fewer than 10 lists are an
// error; even 100 are few.
func FitWeights(ctx context.Context, lists []Judged, o WeightOptions) (*Weights, error) {
	if o.Grid == nil {
		o.Grid = []float64{0, .25, .5, .75, 1, 1.5, 2, 3, 4}
	}
	if err := o.check(lists); err != nil {
		return nil, fmt.Errorf("fit the weights: %w", err)
	}
	f := newFitter(lists, o)
	all := make([]int, len(lists))
	for i := range all {
		all[i] = i
	}
	fitted, err := f.search(ctx, all)
	if err != nil {
		return nil, err
	}
	w := &Weights{Split: o.Split, Queries: len(lists), Names: slices.Clone(o.Names), Fusion: o.Fusion, Fitted: fitted}
	w.Equal, w.Best = mean(f.each(f.equal(), all)), mean(f.each(fitted, all))
	if w.CrossValidated, err = f.crossValidate(ctx, o.Seed); err != nil {
		return nil, err
	}
	w.Kept = w.CrossValidated.Delta > 0 && w.CrossValidated.P < weightP
	w.Weights = f.equal()
	if w.Kept {
		w.Weights = slices.Clone(fitted)
	}
	return w, nil
}

// Ensemble returns the ensemble with these weights. teachers are in the order of Names; teachers of weight 0 are
// omitted.
func (w *Weights) Ensemble(teachers ...Teacher) (*Ensemble, error) {
	if len(teachers) != len(w.Names) {
		return nil, fmt.Errorf("%d teachers for the weights of %d (%s)", len(teachers), len(w.Names),
			strings.Join(w.Names, ", "))
	}
	var members []Member
	for i, t := range teachers {
		if w.Weights[i] > 0 {
			members = append(members, Member{Name: w.Names[i], Teacher: t, Weight: w.Weights[i]})
		}
	}
	return newEnsemble(w.Fusion, members)
}

// String describes the weights, the split and the significance in one line.
func (w *Weights) String() string {
	parts := make([]string, len(w.Names))
	for i, name := range w.Names {
		parts[i] = fmt.Sprintf("%s %g", name, w.Fitted[i])
	}
	c := w.CrossValidated
	line := fmt.Sprintf("weights of %s fitted on %s (%d queries): %s, nDCG@10 %s to %s; cross-validated %+.3f [%+.3f, "+
		"%+.3f], %s",
		w.Fusion, w.Split, w.Queries, strings.Join(parts, ", "), point(w.Equal), point(w.Best), c.Delta, c.Low, c.High,
		pValue(c.P))
	if !w.Kept {
		line += ": not sure enough, equal weights kept"
	}
	return line
}

func (o WeightOptions) check(lists []Judged) error {
	switch {
	case o.Split == "":
		return errors.New("WeightOptions.Split is empty: name the split that they are fitted on")
	case len(o.Names) < 2:
		return fmt.Errorf("WeightOptions.Names has %d teachers, want two or more", len(o.Names))
	case o.Fusion > ReciprocalRank:
		return fmt.Errorf("WeightOptions.Fusion is %d, want ZScore or ReciprocalRank", o.Fusion)
	case len(lists) < 2*folds:
		return fmt.Errorf("%d lists of %s, want %d or more", len(lists), o.Split, 2*folds)
	}
	positive := false
	for _, w := range o.Grid {
		if !(w >= 0) || math.IsInf(w, 0) {
			return fmt.Errorf("WeightOptions.Grid holds %v, want all finite and at least 0", w)
		}
		positive = positive || w > 0
	}
	if !positive {
		return errors.New("WeightOptions.Grid holds no weight above 0")
	}
	for i, l := range lists {
		if err := l.check(len(o.Names)); err != nil {
			return fmt.Errorf("list %d: %w", i, err)
		}
	}
	return nil
}

func (l Judged) check(teachers int) error {
	if len(l.Scores) != teachers {
		return fmt.Errorf("scores of %d teachers, want %d", len(l.Scores), teachers)
	}
	for m, scores := range l.Scores {
		if len(scores) != len(l.Grades) {
			return fmt.Errorf("%d scores of teacher %d and %d grades", len(scores), m, len(l.Grades))
		}
		for _, s := range scores {
			if math.IsInf(s, 0) {
				return fmt.Errorf("teacher %d gave %v", m, s)
			}
		}
	}
	relevant := func(grade int) bool { return grade > 0 }
	if !slices.ContainsFunc(l.Grades, relevant) && !slices.ContainsFunc(l.Missed, relevant) {
		return errors.New("no passage is relevant")
	}
	return nil
}

// fitter holds what the search looks at again and again.
type fitter struct {
	grid     []float64
	teachers int
	scores   [][][]float64 // [list][teacher][passage], standardised
	lists    []Judged
}

func newFitter(lists []Judged, o WeightOptions) *fitter {
	f := &fitter{grid: o.Grid, teachers: len(o.Names), lists: lists}
	for _, l := range lists {
		standard := make([][]float64, len(l.Scores))
		for m, scores := range l.Scores {
			standard[m] = o.Fusion.standardise(scores)
		}
		f.scores = append(f.scores, standard)
	}
	return f
}

func (f *fitter) equal() []float64 {
	weights := make([]float64, f.teachers)
	for i := range weights {
		weights[i] = 1
	}
	return weights
}

// search is coordinate ascent. A weight changes only where that gains, so it ends.
func (f *fitter) search(ctx context.Context, lists []int) ([]float64, error) {
	weights := f.equal()
	best := mean(f.each(weights, lists))
	for changed := true; changed; {
		changed = false
		for m := range weights {
			kept := weights[m]
			for _, w := range f.grid {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				weights[m] = w
				if slices.Max(weights) == 0 {
					continue
				}
				const rounding = 1e-9
				if value := mean(f.each(weights, lists)); value > best+rounding {
					best, kept, changed = value, w, true
				}
			}
			weights[m] = kept
		}
	}
	return weights, nil
}

// each returns the nDCG@10 of each of the lists.
func (f *fitter) each(weights []float64, lists []int) []float64 {
	values := make([]float64, len(lists))
	for n, i := range lists {
		fused := make([]float64, len(f.lists[i].Grades))
		for m, scores := range f.scores[i] {
			for j, s := range scores {
				fused[j] += weights[m] * s
			}
		}
		values[n] = metric.Value(eval.RankedBy(fused, f.lists[i].Grades, f.lists[i].Missed))
	}
	return values
}

func (f *fitter) crossValidate(ctx context.Context, seed uint64) (eval.Comparison, error) {
	equal, fitted := make([]float64, len(f.lists)), make([]float64, len(f.lists))
	for fold := range folds {
		var inside, outside []int
		for i := range f.lists {
			if i%folds == fold {
				outside = append(outside, i)
			} else {
				inside = append(inside, i)
			}
		}
		weights, err := f.search(ctx, inside)
		if err != nil {
			return eval.Comparison{}, err
		}
		before, after := f.each(f.equal(), outside), f.each(weights, outside)
		for n, i := range outside {
			equal[i], fitted[i] = before[n], after[n]
		}
	}
	return eval.Paired(ctx, equal, fitted, seed)
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(1, len(values)))
}

// point writes a share as papers do: ".731".
func point(v float64) string { return strings.TrimPrefix(fmt.Sprintf("%.3f", v), "0") }

// pValue writes "p .012" or "p < .001".
func pValue(p float64) string {
	if p < .001 {
		return "p < .001"
	}
	return "p " + point(p)
}
