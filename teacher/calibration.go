package teacher

import (
	"fmt"
	"slices"

	"github.com/retort-ir/retort/internal/percentile"
)

// Range is the range of percentile min-max scaling, with its effect on the scores that it was computed from.
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

// PercentileRange returns the range of PercentileMinMax, to report it or to scale other lists with it (such as held-out
// lists with the range of the training lists). Arguments and errors are the same as for PercentileMinMax; no scores are
// an error too.
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

// Scale returns (s - Low) / (High - Low) for the scores of one list, clipped to [0,1]. If Low equals High, scores of at
// least Low become 1 and lower scores 0. Scores must be finite.
func (r Range) Scale(scores []float64) ([]float64, error) {
	if err := checkFinite(scores); err != nil {
		return nil, err
	}
	return rescale(scores, r.Low, r.High), nil
}

// String describes the scaling in one line.
func (r Range) String() string {
	return fmt.Sprintf("percentile min-max of %d scores in %d lists: %.4g (percentile %g) to 0, %.4g (percentile %g) "+
		"to 1; clipped %d below, %d above",
		r.Scores, r.Lists, r.Low, r.LowPercentile, r.High, r.HighPercentile, r.Below, r.Above)
}
