package eval

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPairedIsExactForFewDifferences(t *testing.T) {
	// Of the 2^3 assignments of signs to .1, .1, .1 only +++ and --- are as far from 0; the zeros change nothing.
	c, err := Paired(context.Background(), []float64{.1, .2, .3, .5, .5}, []float64{.2, .3, .4, .5, .5}, 1)
	require.NoError(t, err)
	require.InDelta(t, .06, c.Delta, 1e-15)
	require.Equal(t, .25, c.P)
	require.Equal(t, 3, c.Better)
	require.Equal(t, 0, c.Worse)
	require.Equal(t, 5, c.N)
}

func TestPairedOfEqualSystems(t *testing.T) {
	c, err := Paired(context.Background(), []float64{.1, .2}, []float64{.1, .2}, 1)
	require.NoError(t, err)
	require.Equal(t, Comparison{P: 1, N: 2}, c)
}

func TestPairedRandomAndExactTestsMeet(t *testing.T) {
	// 21 differences are sampled; of them one is so small that the exact p-value of the other 20 is nearly theirs.
	random := rand.New(rand.NewPCG(3, 4))
	before, after := make([]float64, 21), make([]float64, 21)
	for i := range 20 {
		after[i] = random.NormFloat64() + .4
	}
	exact, err := Paired(context.Background(), before, after, 1)
	require.NoError(t, err)
	after[20] = 1e-9
	sampled, err := Paired(context.Background(), before, after, 1)
	require.NoError(t, err)
	require.NotEqual(t, exact.P, sampled.P)
	require.InDelta(t, exact.P, sampled.P, .005)
	require.Less(t, exact.P, .5)
}

func TestPairedNeverSaysThatChanceIsImpossible(t *testing.T) {
	before, after := make([]float64, 100), make([]float64, 100)
	for i := range after {
		after[i] = .5
	}
	c, err := Paired(context.Background(), before, after, 1)
	require.NoError(t, err)
	require.Equal(t, 1/100_001., c.P)
	require.Equal(t, .5, c.Low)
	require.Equal(t, .5, c.High)
}

func TestPairedDependsOnTheSeedAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	before, after := make([]float64, 80), make([]float64, 80)
	for i := range after {
		after[i] = random.NormFloat64()
	}
	one, err := Paired(context.Background(), before, after, 1)
	require.NoError(t, err)
	again, err := Paired(context.Background(), before, after, 1)
	require.NoError(t, err)
	require.Equal(t, one, again)
	other, err := Paired(context.Background(), before, after, 2)
	require.NoError(t, err)
	require.NotEqual(t, one, other)

	swapped, err := Paired(context.Background(), after, before, 1)
	require.NoError(t, err)
	require.Equal(t, one.P, swapped.P, "the test is two-sided")
	require.Equal(t, -one.Delta, swapped.Delta)
}

// Under the null hypothesis P is uniform and the interval covers 0 in 95% of the experiments.
func TestPairedHoldsItsErrorRate(t *testing.T) {
	const experiments = 300
	random := rand.New(rand.NewPCG(7, 8))
	rejected, covered := 0, 0
	for seed := range experiments {
		before, after := make([]float64, 14), make([]float64, 14)
		for i := range after {
			before[i], after[i] = random.Float64(), random.Float64()
		}
		c, err := Paired(context.Background(), before, after, uint64(seed))
		require.NoError(t, err)
		if c.P <= .2 {
			rejected++
		}
		if c.Low <= 0 && 0 <= c.High {
			covered++
		}
	}
	require.InDelta(t, .2, float64(rejected)/experiments, .08)
	require.InDelta(t, .93, float64(covered)/experiments, .05) // percentile intervals are a little short for small n
}

func TestCompareNeedsTheSameQueriesAndMetric(t *testing.T) {
	run := Run{"p": {{"b", 2}, {"a", 1}}}
	better := Run{"p": {{"a", 2}, {"b", 1}}}
	before, err := Evaluate(Qrels{"p": {"a": 1}}, run, MRR(10))
	require.NoError(t, err)
	after, err := Evaluate(Qrels{"p": {"a": 1}}, better, MRR(10))
	require.NoError(t, err)
	c, err := Compare(context.Background(), before, after, MRR(10), 1)
	require.NoError(t, err)
	require.Equal(t, Comparison{Delta: .5, Low: .5, High: .5, P: 1, Better: 1, N: 1}, c)

	_, err = Compare(context.Background(), before, after, averagePrecision(), 1)
	require.ErrorContains(t, err, "has no metric map")
	other, err := Evaluate(Qrels{"q": {"a": 1}}, run, MRR(10))
	require.NoError(t, err)
	_, err = Compare(context.Background(), before, other, MRR(10), 1)
	require.ErrorContains(t, err, "different queries")
}

func TestPairedRefusesBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		before, after []float64
		want          string
	}{
		"nothing":       {nil, nil, "no queries"},
		"unequal sizes": {[]float64{1}, []float64{1, 2}, "1 and 2 values"},
		"NaN":           {[]float64{1, 2}, []float64{1, math.NaN()}, "query 1 has values 2 and NaN"},
		"infinite":      {[]float64{math.Inf(1)}, []float64{1}, "query 0 has values +Inf and 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Paired(context.Background(), c.before, c.after, 1)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestPairedStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, n := range []int{5, 50} {
		before, after := make([]float64, n), make([]float64, n)
		for i := range after {
			after[i] = float64(i)
		}
		_, err := Paired(ctx, before, after, 1)
		require.ErrorIs(t, err, context.Canceled)
	}
}

func TestComparisonPrintsFieldsOfTheField(t *testing.T) {
	text, err := json.Marshal(Comparison{Delta: .1, Low: .05, High: .15, P: .01, Better: 7, Worse: 2, N: 10})
	require.NoError(t, err)
	require.Equal(t, `{"delta":0.1,"low":0.05,"high":0.15,"p":0.01,"better":7,"worse":2,"queries":10}`, string(text))
}

func BenchmarkPaired(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	before, after := make([]float64, 1000), make([]float64, 1000)
	for i := range after {
		before[i], after[i] = random.Float64(), random.Float64()
	}
	for b.Loop() {
		if _, err := Paired(context.Background(), before, after, 1); err != nil {
			b.Fatal(err)
		}
	}
}
