package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Comparison is the outcome of a paired comparison of two systems over the same queries.
type Comparison struct {
	Delta  float64 `json:"delta"` // mean of after - before
	Low    float64 `json:"low"`   // 95% confidence interval of Delta
	High   float64 `json:"high"`
	P      float64 `json:"p"`       // two-sided p-value, in (0,1]
	Better int     `json:"better"`  // queries that gained
	Worse  int     `json:"worse"`   // queries that lost
	N      int     `json:"queries"` // number of queries
}

const (
	flips    = 100_000 // random sign assignments of the randomisation test
	exactMax = 20      // largest number of differences with all 2^n assignments enumerated
	samples  = 9_999   // of the bootstrap: with it the 2.5% and 97.5% points are the 250th and the 9,750th value
)

// Compare compares one metric of two reports with [Paired]. The reports must cover the same queries.
func Compare(ctx context.Context, before, after *Report, m Metric, seed uint64) (Comparison, error) {
	if !slices.Equal(before.Queries, after.Queries) {
		return Comparison{}, errors.New("compare: the reports cover different queries")
	}
	a, b := before.Of(m), after.Of(m)
	if a == nil || b == nil {
		return Comparison{}, fmt.Errorf("compare: a report has no metric %s", m.Name)
	}
	return Paired(ctx, a, b, seed)
}

// Paired compares two systems by their values for the same queries in the same order.
//
// P is the p-value of the paired randomisation test (Fisher's). Under the null hypothesis the sign of each query's
// difference is arbitrary, so P is the share of the 2^n assignments of signs for which the mean difference is at least
// as far from 0 as Delta. For up to 20 nonzero differences all assignments are enumerated. For more, P is (1 + hits) /
// (1 + 100,000) over 100,000 random assignments, so P is never 0.
//
// Low and High are the percentile bootstrap interval: the 2.5% and 97.5% points of the mean difference over 9,999
// samples of n queries drawn with replacement.
//
// Equal arguments, seed included, give equal results. Values must be finite.
//
// References: Smucker, Allan, Carterette (2007), "A comparison of statistical significance tests for information
// retrieval evaluation", CIKM. Efron, Tibshirani (1993), "An Introduction to the Bootstrap", sections 13.3 and 15.
// Phipson, Smyth (2010), "Permutation p-values should never be zero", arXiv 1603.05766.
func Paired(ctx context.Context, before, after []float64, seed uint64) (Comparison, error) {
	if len(before) != len(after) {
		return Comparison{}, fmt.Errorf("compare: got %d and %d values, want equal numbers", len(before), len(after))
	}
	if len(before) == 0 {
		return Comparison{}, errors.New("compare: no queries")
	}
	c := Comparison{N: len(before)}
	diffs := make([]float64, len(before))
	for i := range diffs {
		diffs[i] = after[i] - before[i]
		switch {
		case math.IsNaN(diffs[i]) || math.IsInf(diffs[i], 0):
			return Comparison{}, fmt.Errorf("compare: query %d has values %v and %v", i, before[i], after[i])
		case diffs[i] > 0:
			c.Better++
		case diffs[i] < 0:
			c.Worse++
		}
	}
	c.Delta = mean(diffs)
	var err error
	if c.P, err = randomisation(ctx, diffs, rand.New(rand.NewPCG(seed, 1))); err != nil {
		return Comparison{}, err
	}
	if c.Low, c.High, err = bootstrap(ctx, diffs, rand.New(rand.NewPCG(seed, 2))); err != nil {
		return Comparison{}, err
	}
	return c, nil
}

// randomisation returns the two-sided p-value of the paired randomisation test.
func randomisation(ctx context.Context, diffs []float64, random *rand.Rand) (float64, error) {
	diffs = slices.DeleteFunc(slices.Clone(diffs), func(d float64) bool { return d == 0 })
	table := newSignTable(diffs)
	observed := math.Abs(sum(diffs))
	var size float64
	for _, d := range diffs {
		size += math.Abs(d)
	}
	observed -= 1e-12 * size // sums that differ only by rounding count as equal

	hits := 0
	if len(diffs) <= exactMax {
		all := 1 << len(diffs)
		for signs := range all {
			if math.Abs(table.sum(func() uint64 { return uint64(signs) })) >= observed {
				hits++
			}
		}
		return float64(hits) / float64(all), nil
	}
	for i := range flips {
		if i%16 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if math.Abs(table.sum(random.Uint64)) >= observed {
			hits++
		}
	}
	return float64(1+hits) / float64(1+flips), nil
}

// signTable holds, for every eight differences, their sum under each of the 256 assignments of signs.
type signTable [][256]float64

func newSignTable(diffs []float64) signTable {
	var table signTable
	for eight := range slices.Chunk(diffs, 8) {
		var sums [256]float64
		for signs := range sums {
			for i, d := range eight {
				if signs>>i&1 == 1 {
					d = -d
				}
				sums[signs] += d
			}
		}
		table = append(table, sums)
	}
	return table
}

// sum returns the sum of the differences under the signs that bits gives, 64 a call.
func (t signTable) sum(bits func() uint64) float64 {
	var s float64
	var signs uint64
	for i := range t {
		if i%8 == 0 {
			signs = bits()
		}
		s += t[i][signs&255]
		signs >>= 8
	}
	return s
}

// bootstrap returns the 95% percentile interval of the mean.
func bootstrap(ctx context.Context, diffs []float64, random *rand.Rand) (low, high float64, err error) {
	means := make([]float64, samples)
	for i := range means {
		if i%16 == 0 && ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		var s float64
		for range diffs {
			s += diffs[random.IntN(len(diffs))]
		}
		means[i] = s / float64(len(diffs))
	}
	slices.Sort(means)
	tail := (samples + 1) / 40 // 2.5%
	return means[tail-1], means[samples-tail], nil
}
