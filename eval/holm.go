package eval

import (
	"cmp"
	"math"
	"slices"
)

// Holm returns the p-values adjusted for how many there are, in the order given: an adjusted value of at most alpha is
// significant, and the chance that any of these is so by chance alone is at most alpha, however the tests depend on
// each other. With the m values sorted ascending it is the step-down procedure
//
//	adjusted(i) = min(1, max over j <= i of (m - j + 1) · p(j)),  i, j = 1..m
//
// Values are in [0,1]; NaN marks a test that could not be made: it stays NaN and does not count in m.
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
