// Package ndcg computes the discounted cumulative gain of Järvelin and Kekäläinen (2002), "Cumulated gain-based
// evaluation of IR techniques", ACM TOIS 20(4), with linear gains, as trec_eval does.
package ndcg

import "math"

// DCG returns the sum over the ranks r = 1..k of gain(r) / log2(r+1). A gain below 0 counts as 0.
func DCG[Gain int | float64](gains []Gain, k int) float64 {
	var sum float64
	for i, gain := range gains[:min(k, len(gains))] {
		if gain > 0 {
			sum += float64(gain) / math.Log2(float64(i+2))
		}
	}
	return sum
}
