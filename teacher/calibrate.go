package teacher

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// MinMax scales one list's scores to [0,1]: (s - min) / (max - min). Where all are the same, all are 1: they tie for the
// best. Scores must be finite.
func MinMax(scores []float64) ([]float64, error) {
	if err := checkFinite(scores); err != nil {
		return nil, err
	}
	if len(scores) == 0 {
		return []float64{}, nil
	}
	return rescale(scores, slices.Min(scores), slices.Max(scores)), nil
}

// PercentileMinMax scales the scores of many lists to [0,1] by one range: from the lo-th to the hi-th percentile of all
// of them, what lies outside clipped. Tamber et al. 2025 (arXiv 2502.19712) use 1 and 99, once per collection, query type
// and retriever. Percentiles are in [0,100] and interpolated linearly, as numpy.percentile does. Unlike MinMax it keeps
// apart lists that hold a good passage and lists that hold none. Scores must be finite.
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

// OnStudentScale returns the target s0 + tau*gamma*z of one list, where s0 are the similarities of the student as it was
// before training, z the teacher's z-scores (of ZScores or an Ensemble) and tau the student's temperature. Used with
// teacher temperature = student temperature = tau it is the distribution
//
//	softmax((s0 + tau*gamma*z) / tau) = softmax(s0/tau + gamma*z)
//
// so training starts with a divergence that comes only from what the teacher knows better: gamma 0 asks for no change at
// all. The targets are not confined to [0,1].
func OnStudentScale(s0, z []float64, tau, gamma float64) ([]float64, error) {
	if len(s0) != len(z) {
		return nil, fmt.Errorf("%d similarities and %d z-scores", len(s0), len(z))
	}
	if err := checkTemperature(tau); err != nil {
		return nil, err
	}
	if gamma < 0 || math.IsNaN(gamma) || math.IsInf(gamma, 0) {
		return nil, fmt.Errorf("gamma is %v, want it finite and >= 0", gamma)
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

// Softmax returns the distribution exp(s_i/tau) / sum_j exp(s_j/tau) over one list, computed stably.
func Softmax(scores []float64, tau float64) ([]float64, error) {
	if err := checkTemperature(tau); err != nil {
		return nil, err
	}
	if err := checkFinite(scores); err != nil {
		return nil, err
	}
	if len(scores) == 0 {
		return []float64{}, nil
	}
	return softmax(scores, tau), nil
}

// MatchTemperature returns the temperature at which the teacher's distributions are as sharp as the student's are at
// studentTau: the mean entropy over the lists of softmax(teacher/tau) equals that of softmax(student/studentTau). teacher
// and student hold one slice a list, aligned. Where the teacher cannot be made that sharp or flat by a temperature between 1e-6
// and 1e6 times the spread of its scores, it is an error.
func MatchTemperature(teacher, student [][]float64, studentTau float64) (float64, error) {
	if err := checkTemperature(studentTau); err != nil {
		return 0, err
	}
	if len(teacher) != len(student) {
		return 0, fmt.Errorf("%d lists of the teacher and %d of the student", len(teacher), len(student))
	}
	var spread float64
	for i := range teacher {
		if len(teacher[i]) != len(student[i]) {
			return 0, fmt.Errorf("list %d: %d scores of the teacher and %d of the student", i, len(teacher[i]), len(student[i]))
		}
		if err := errors.Join(checkFinite(teacher[i]), checkFinite(student[i])); err != nil {
			return 0, fmt.Errorf("list %d: %w", i, err)
		}
		if len(teacher[i]) > 0 {
			spread = max(spread, slices.Max(teacher[i])-slices.Min(teacher[i]))
		}
	}
	if spread == 0 || math.IsInf(spread, 0) {
		return 0, fmt.Errorf("the teacher's scores have a spread of %v: no temperature to choose", spread)
	}
	want := meanEntropy(student, studentTau)
	// The entropy grows with the temperature: bisect on its logarithm.
	lo, hi := math.Log(spread)-6*math.Ln10, math.Log(spread)+6*math.Ln10
	if lowest, highest := meanEntropy(teacher, math.Exp(lo)), meanEntropy(teacher, math.Exp(hi)); want < lowest || want > highest {
		return 0, fmt.Errorf("the student's mean entropy is %.4g nats, the teacher's can be %.4g to %.4g", want, lowest, highest)
	}
	for range 100 {
		mid := (lo + hi) / 2
		if meanEntropy(teacher, math.Exp(mid)) < want {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Exp((lo + hi) / 2), nil
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

func softmax(scores []float64, tau float64) []float64 {
	top := slices.Max(scores)
	p := make([]float64, len(scores))
	var sum float64
	for i, s := range scores {
		p[i] = math.Exp((s - top) / tau)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// meanEntropy is the mean over the lists of the entropy of softmax(scores/tau) in nats.
func meanEntropy(lists [][]float64, tau float64) float64 {
	var sum float64
	for _, scores := range lists {
		if len(scores) == 0 {
			continue
		}
		for _, p := range softmax(scores, tau) {
			if p > 0 {
				sum -= p * math.Log(p)
			}
		}
	}
	return sum / float64(max(len(lists), 1))
}

func checkFinite(scores []float64) error {
	for i, s := range scores {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("score %d is %v, want it finite (see FillMissing)", i, s)
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
		return fmt.Errorf("temperature is %v, want it finite and > 0", tau)
	}
	return nil
}
