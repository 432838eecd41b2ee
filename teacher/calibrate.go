package teacher

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// MinMax scales the scores of one list to [0,1]: (s - min) / (max - min). If all scores are equal, the result is 1 for
// each. Scores must be finite.
func MinMax(scores []float64) ([]float64, error) {
	if err := checkFinite(scores); err != nil {
		return nil, err
	}
	if len(scores) == 0 {
		return []float64{}, nil
	}
	return rescale(scores, slices.Min(scores), slices.Max(scores)), nil
}

// PercentileMinMax scales the scores of many lists to [0,1] by one range, from the lo-th to the hi-th percentile of all
// scores, and clips scores outside. Tamber et al. 2025 (arXiv 2502.19712) use 1 and 99, once per collection, query type
// and retriever. Percentiles are in [0,100] and interpolated linearly, like numpy.percentile. Unlike MinMax it
// preserves the difference between lists with and without a good passage. Scores must be finite.
func PercentileMinMax(lists [][]float64, lo, hi float64) ([][]float64, error) {
	if err := checkPercentiles(lo, hi); err != nil {
		return nil, err
	}
	scaled := make([][]float64, len(lists))
	var r Range
	if slices.ContainsFunc(lists, func(scores []float64) bool { return len(scores) > 0 }) {
		var err error
		if r, err = PercentileRange(lists, lo, hi); err != nil {
			return nil, err
		}
	}
	for i, scores := range lists {
		scaled[i] = rescale(scores, r.Low, r.High)
	}
	return scaled, nil
}

// OnStudentScale returns the target s0 + tau*gamma*z of one list, where s0 are the similarities of the initial student,
// z the teacher's z-scores (from ZScores or an Ensemble) and tau the student's temperature. With teacher temperature =
// student temperature = tau it is the distribution
//
//	softmax((s0 + tau*gamma*z) / tau) = softmax(s0/tau + gamma*z)
//
// so the initial divergence comes only from the teacher's corrections; with gamma 0 it is 0. The targets are not
// limited to [0,1].
func OnStudentScale(s0, z []float64, tau, gamma float64) ([]float64, error) {
	if len(s0) != len(z) {
		return nil, fmt.Errorf("%d similarities, but %d z-scores", len(s0), len(z))
	}
	if err := checkTemperature(tau); err != nil {
		return nil, err
	}
	if gamma < 0 || math.IsNaN(gamma) || math.IsInf(gamma, 0) {
		return nil, fmt.Errorf("gamma is %v, want a finite number of at least 0", gamma)
	}
	if err := errors.Join(checkFinite(s0), checkFinite(z)); err != nil {
		return nil, err
	}
	target := make([]float64, len(s0))
	for i := range target {
		target[i] = s0[i] + tau*gamma*z[i]
	}
	return target, nil
}

// rescale maps lo to 0 and hi to 1, clipped. Where they are the same, what reaches them is 1.
func rescale(scores []float64, lo, hi float64) []float64 {
	scaled := make([]float64, len(scores))
	// Halved, so that the range of two huge scores of opposite sign stays finite.
	width := hi/2 - lo/2
	for i, s := range scores {
		switch {
		case s >= hi:
			scaled[i] = 1
		case s > lo:
			scaled[i] = min((s/2-lo/2)/width, 1)
		}
	}
	return scaled
}

func checkFinite(scores []float64) error {
	for i, s := range scores {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("score %d is %v, want a finite number", i, s)
		}
	}
	return nil
}

func checkPercentiles(lo, hi float64) error {
	if !(0 <= lo && lo < hi && hi <= 100) {
		return fmt.Errorf("percentiles %v and %v: want 0 <= lo < hi <= 100", lo, hi)
	}
	return nil
}

func checkTemperature(tau float64) error {
	if !(tau > 0) || math.IsInf(tau, 0) {
		return fmt.Errorf("temperature is %v, want a finite number above 0", tau)
	}
	return nil
}
