package eval

import (
	"cmp"
	"math"
	"slices"
)

// Holm adjusts p-values for multiple tests and returns them in the given order. If adjusted values of at most alpha
// count as significant, the probability of one or more false positives is at most alpha, for any dependence between the
// tests. With the m values sorted ascending it is the step-down procedure
//
//	adjusted(i) = min(1, max over j <= i of (m - j + 1) · p(j)),  i, j = 1..m
//
// Values must be in [0,1]. NaN marks a missing test: it stays NaN and does not count in m.
//
// Reference: Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics
// 6(2).
func Holm(p []float64) []float64 {
	adjusted := slices.Clone(p)
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	var highest float64
	for rank, i := range order {
		highest = max(highest, float64(len(order)-rank)*p[i])
		adjusted[i] = min(1, highest)
	}
	return adjusted
}
