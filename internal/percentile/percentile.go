// Package percentile finds percentiles as numpy.percentile does.
package percentile

// Of interpolates linearly between the closest ranks of sorted values, which must not be empty; p is in [0,100].
func Of(sorted []float64, p float64) float64 {
	at := p / 100 * float64(len(sorted)-1)
	below := int(at)
	if below+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	fraction := at - float64(below)
	return sorted[below]*(1-fraction) + sorted[below+1]*fraction
}
