package teacher

import (
	"errors"
	"fmt"
	"math"
)

// Agreement says how far teachers agree on one list, as a confidence in it: 1 where all rank its passages alike, 0 where two
// rank them the other way round, and about 1/2 where they have nothing to do with each other:
//
//	agreement = mean over the pairs of teachers of (1 + tau_b) / 2
//
// with Kendall's tau-b, which takes equal scores into account (Kendall 1945, "The treatment of ties in ranking problems",
// Biometrika 33). scores has one slice a teacher, aligned; NaN is a missing score, filled as FillMissing does. A pair of
// which one ranks nothing above anything else counts 1/2. Fewer than two teachers or passages are an error.
func Agreement(scores ...[]float64) (float64, error) {
	if len(scores) < 2 {
		return 0, fmt.Errorf("agreement of %d teachers: want two or more", len(scores))
	}
	if len(scores[0]) < 2 {
		return 0, fmt.Errorf("agreement on %d passages: want two or more", len(scores[0]))
	}
	for m, s := range scores {
		if len(s) != len(scores[0]) {
			return 0, fmt.Errorf("agreement: %d scores of teacher 0 and %d of teacher %d", len(scores[0]), len(s), m)
		}
	}
	return agreement(scores), nil
}

// agreement is 0 where there is nothing to agree on.
func agreement(scores [][]float64) float64 {
	if len(scores) < 2 || len(scores[0]) < 2 {
		return 0
	}
	filled := make([][]float64, len(scores))
	for m := range scores {
		filled[m] = FillMissing(scores[m])
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

// TopOverlap is another confidence in a list: the mean over the pairs of teachers of the share of their k best passages
// that both have among them, in [0,1]. Where the list has fewer than 2k passages chance alone gives a large one. Of equal
// scores the earlier passage is the better. Arguments and errors are those of Agreement; k < 1 is an error too.
func TopOverlap(k int, scores ...[]float64) (float64, error) {
	if k < 1 {
		return 0, errors.New("overlap of the best: k must be at least 1")
	}
	if _, err := Agreement(scores...); err != nil {
		return 0, err
	}
	k = min(k, len(scores[0]))
	var shared, pairs int
	for a := range scores {
		of := map[int]bool{}
		for _, i := range ranking(FillMissing(scores[a]))[:k] {
			of[i] = true
		}
		for b := range a {
			for _, i := range ranking(FillMissing(scores[b]))[:k] {
				if of[i] {
					shared++
				}
			}
			pairs++
		}
	}
	return float64(shared) / float64(k*pairs), nil
}
