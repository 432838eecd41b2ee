// Package zscore standardises scores: (s - mean) / sd, with the population's standard deviation.
package zscore

import "math"

// Scale is the mean and the standard deviation of some scores. The zero value standardises every score to 0.
type Scale struct{ halfMean, halfDeviation float64 } // halved, so that no difference of two scores overflows

// rounding is the standard deviation, as a share of the largest score, below which scores differ by rounding alone.
const rounding = 1e-13

// Of returns the scale of n scores, which must be finite. Where all of them are the same but for rounding, every score
// is standardised to 0.
func Of(n int, score func(i int) float64) Scale {
	var largest float64
	for i := range n {
		largest = max(largest, math.Abs(score(i)))
	}
	if largest == 0 {
		return Scale{}
	}
	// Scaled by a power of two, which rounds nothing: neither sum can overflow.
	_, exponent := math.Frexp(largest)
	unit := func(i int) float64 { return math.Ldexp(score(i), -exponent) }
	var mean, squares float64
	for i := range n {
		mean += unit(i)
	}
	mean /= float64(n)
	for i := range n {
		d := unit(i) - mean
		squares += float64(d * d)
	}
	deviation := math.Sqrt(squares / float64(n))
	if deviation < rounding {
		return Scale{}
	}
	return Scale{math.Ldexp(mean, exponent-1), math.Ldexp(deviation, exponent-1)}
}

// Z standardises a score, which need not be among the scores of the scale.
func (s Scale) Z(score float64) float64 {
	if s.halfDeviation == 0 {
		return 0
	}
	return (score/2 - s.halfMean) / s.halfDeviation
}
