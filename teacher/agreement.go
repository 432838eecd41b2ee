package teacher

import (
	"math"
)

// agreement says how far teachers agree on one list: see Scored.Agreement. scores has one slice a teacher, aligned; NaN
// is a missing score. It is 0 for fewer than two teachers or passages.
func agreement(scores [][]float64) float64 {
	if len(scores) < 2 || len(scores[0]) < 2 {
		return 0
	}
	filled := make([][]float64, len(scores))
	for m := range scores {
		filled[m] = fillMissing(scores[m])
	}
	var sum float64
	pairs := 0
	for a := range filled {
		for b := range a {
			sum += (1 + kendall(filled[a], filled[b])) / 2
			pairs++
		}
	}
	return sum / float64(pairs)
}

// kendall is tau-b, 0 where it is not defined.
func kendall(a, b []float64) float64 {
	var concordant, distinctA, distinctB float64
	for i := range a {
		for j := range i {
			x, y := compare(a[i], a[j]), compare(b[i], b[j])
			concordant += x * y
			distinctA += x * x
			distinctB += y * y
		}
	}
	if distinctA == 0 || distinctB == 0 {
		return 0
	}
	return concordant / math.Sqrt(distinctA*distinctB)
}

func compare(a, b float64) float64 {
	switch {
	case a > b:
		return 1
	case a < b:
		return -1
	}
	return 0
}
