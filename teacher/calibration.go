package teacher

import (
	"fmt"
	"slices"

	"github.com/retort-ir/retort/internal/percentile"
)

// Range is the range by which percentile min-max scales, with what it does to the scores that it was found from.
type Range struct {
	LowPercentile  float64 `json:"low_percentile"`
	HighPercentile float64 `json:"high_percentile"`
	Low            float64 `json:"low"`  // becomes 0
	High           float64 `json:"high"` // becomes 1
	Lists          int     `json:"lists"`
	Scores         int     `json:"scores"`
	Below          int     `json:"below"` // scores clipped to 0
	Above          int     `json:"above"` // scores clipped to 1
}

// PercentileRange finds the range of PercentileMinMax, for use on other lists too (the lists of a dev split by the
// range of the training lists) and to say what was done. Arguments and errors are as for PercentileMinMax; no scores
// are an error.
func PercentileRange(lists [][]float64, lo, hi float64) (Range, error) {
	if err := checkPercentiles(lo, hi); err != nil {
		return Range{}, err
	}
	r := Range{LowPercentile: lo, HighPercentile: hi, Lists: len(lists)}
	var all []float64
	for i, scores := range lists {
		if err := checkFinite(scores); err != nil {
			return Range{}, fmt.Errorf("list %d: %w", i, err)
		}
		all = append(all, scores...)
	}
	if len(all) == 0 {
		return Range{}, fmt.Errorf("no scores in %d lists: no percentiles", len(lists))
	}
	slices.Sort(all)
	r.Scores, r.Low, r.High = len(all), percentile.Of(all, lo), percentile.Of(all, hi)
	r.Below, _ = slices.BinarySearch(all, r.Low)
	for i := len(all) - 1; i >= 0 && all[i] > r.High; i-- {
		r.Above++
	}
	return r, nil
}

// Scale returns (s - Low) / (High - Low) of one list's scores, clipped to [0,1]. Where Low and High are the same, what
// reaches them is 1. Scores must be finite.
func (r Range) Scale(scores []float64) ([]float64, error) {
	if err := checkFinite(scores); err != nil {
		return nil, err
	}
	return rescale(scores, r.Low, r.High), nil
}

// String says in one line what was done.
func (r Range) String() string {
	return fmt.Sprintf("percentile min-max of %d scores in %d lists: %.4g (percentile %g) to 0, %.4g (percentile %g) to 1; clipped %d below, %d above",
		r.Scores, r.Lists, r.Low, r.LowPercentile, r.High, r.HighPercentile, r.Below, r.Above)
}
