package loss_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/loss/losstest"
)

// The reference materialises the batch: column c stands in it Count[c] times, the positive once.
func TestInfoNCEWithCountsEqualsTheDuplicatedBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for tried := 0; tried < 100; {
		r, sim := losstest.RandomRow(rng)
		if r.Count == nil || r.Positive == -1 {
			continue
		}
		tried++
		r.Weight = 1
		for _, l := range []loss.InfoNCE{{}, {Temperature: 0.05}, {MaskRatio: 0.6}} {
			want, wantGrad := duplicated(l, &r, sim)
			requireLoss(t, l, &r, sim, want, wantGrad)
		}
	}
}

// duplicated is InfoNCE by its definition over a batch of copies, its gradient added up over the copies.
func duplicated(l loss.InfoNCE, r *loss.Row, sim []float32) (float64, []float64) {
	tau := l.Temperature
	if tau == 0 {
		tau = 0.01
	}
	masked := map[int32]bool{}
	for _, c := range r.Ignore {
		masked[c] = true
	}
	for i, c := range r.List {
		if l.MaskRatio > 0 && r.Teacher[i] > l.MaskRatio*slices.Max(r.Teacher) {
			masked[c] = true
		}
	}
	batch := []int32{r.Positive}
	for c, n := range r.Count {
		for range int(n) {
			if int32(c) != r.Positive && !masked[int32(c)] {
				batch = append(batch, int32(c))
			}
		}
	}
	var z float64
	for _, c := range batch {
		z += math.Exp(float64(sim[c]) / tau)
	}
	grad := make([]float64, len(sim))
	for _, c := range batch {
		grad[c] += math.Exp(float64(sim[c])/tau) / z / tau
	}
	grad[r.Positive] -= 1 / tau
	return math.Log(z) - float64(sim[r.Positive])/tau, grad
}

func TestInfoNCEMaskIsStrictlyAboveTheRatioAndSparesThePositive(t *testing.T) {
	sim := []float32{0.5, 0.5, 0.5, 0.5}
	r := loss.Row{List: []int32{0, 1, 2}, Teacher: []float64{1, 0.5, 0.75}, Positive: 2}
	for _, test := range []struct {
		ratio     float64
		negatives float64
	}{
		{0, 3},    // no mask
		{0.5, 2},  // 0 is out; 1 scores exactly half of the top and stays
		{0.49, 1}, // 0 and 1 are out; 3 is not of the list
		{1, 3},    // nothing scores above the top
	} {
		got := value(t, loss.InfoNCE{MaskRatio: test.ratio}, &r, sim)
		require.InDelta(t, math.Log(1+test.negatives), got, 1e-12, "ratio %v", test.ratio)
	}
}

func TestInfoNCERefusesTeacherScoresThatTheMaskIsNotDefinedOn(t *testing.T) {
	sim := make([]float32, 3)
	for _, bad := range []float64{-0.25, 1.25} {
		r := loss.Row{ID: "q7", List: []int32{0, 1}, Teacher: []float64{0.5, bad}}
		grad := make([]float32, 3)
		_, err := loss.InfoNCE{MaskRatio: 0.6}.Row(&r, sim, grad, 1)
		require.ErrorContains(t, err, `"q7"`)
		require.ErrorContains(t, err, "25")
		require.Equal(t, make([]float32, 3), grad)

		value(t, loss.InfoNCE{}, &r, sim) // without a mask they are not read
		r.Positive = -1
		value(t, loss.InfoNCE{MaskRatio: 0.6}, &r, sim) // nor without a positive
	}
}

func TestInfoNCERefusesValuesThatItWouldSum(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, test := range map[string]struct{ sim, count []float32 }{
		"similarity NaN outside the list":       {sim: []float32{0, 0, nan}},
		"similarity infinite outside the list":  {sim: []float32{0, 0, inf}},
		"similarity -infinite outside the list": {sim: []float32{0, 0, -inf}},
		"count NaN":                             {count: []float32{1, 1, nan}},
		"count infinite":                        {count: []float32{1, 1, inf}},
		"count negative":                        {count: []float32{1, 1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := loss.Row{ID: "q7", List: []int32{0}, Teacher: []float64{1}, Count: test.count}
			if test.sim == nil {
				test.sim = make([]float32, 3)
			}
			_, err := loss.InfoNCE{}.Row(&r, test.sim, make([]float32, 3), 1)
			require.ErrorContains(t, err, `"q7"`)
			require.ErrorContains(t, err, "column 2")
		})
	}
}

// exp(s/tau) overflows float64 at s/tau = 710; the loss is finite and exact far beyond, on both sides of the positive.
func TestInfoNCEIsStableAtTinyTemperatures(t *testing.T) {
	r := loss.Row{List: []int32{0}, Teacher: []float64{1}}
	l := loss.InfoNCE{Temperature: 1.0 / 4096}
	requireLoss(t, l, &r, []float32{-1, 1}, 8192, []float64{-4096, 4096})
	requireLoss(t, l, &r, []float32{1, -1}, 0, []float64{0, 0})
	// An ignored column that stands far above all others takes no precision from them.
	r.Ignore = []int32{2}
	requireLoss(t, l, &r, []float32{-1, -1, 1}, math.Ln2, []float64{-2048, 2048, 0})
	r.Ignore, r.Count = nil, []float32{1, 1, 0}
	requireLoss(t, l, &r, []float32{-1, -1, 1}, math.Ln2, []float64{-2048, 2048, 0})
	// A loss near 0 keeps its digits.
	small := value(t, loss.InfoNCE{Temperature: 1.0 / 32}, &loss.Row{}, []float32{1, 0})
	require.InEpsilon(t, math.Exp(-32), small, 1e-12)
}

// Judged pairs have a positive and no scored list.
func TestInfoNCENeedsNoList(t *testing.T) {
	r := loss.Row{Positive: 1}
	requireLoss(t, loss.InfoNCE{Temperature: 1}, &r, []float32{0.5, 0.5}, math.Ln2, []float64{0.5, -0.5})
}
