package teacher

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
)

// devLists have one relevant passage of ten, which teacher 0 finds by far more often than the others; signal is how
// well.
func devLists(n int, signal ...float64) []Judged {
	random := rand.New(rand.NewPCG(7, 1))
	lists := make([]Judged, n)
	for i := range lists {
		grades := make([]int, 10)
		relevant := random.IntN(10)
		grades[relevant] = 1
		lists[i].Grades = grades
		for _, s := range signal {
			scores := make([]float64, 10)
			for j := range scores {
				scores[j] = random.NormFloat64()
			}
			scores[relevant] += s
			lists[i].Scores = append(lists[i].Scores, scores)
		}
	}
	return lists
}

func TestReciprocalRanks(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []float64
	}{
		{"by rank", []float64{.1, 7, 3}, []float64{1. / 63, 1. / 61, 1. / 62}},
		{"equals share the mean of their ranks", []float64{5, 9, 5, 1}, []float64{1 / 62.5, 1. / 61, 1 / 62.5, 1. / 64}},
		{"empty", nil, []float64{}},
	} {
		t.Run(c.name, func(t *testing.T) { require.InDeltaSlice(t, c.want, reciprocalRanks(c.in), 1e-15) })
	}
}

func TestRankFusionIsTheWeightedSumOfReciprocalRanks(t *testing.T) {
	ps := passages("a", "b", "c")
	e, err := NewRankFusion(Member{Teacher: fixed(1, 9, 4)}, Member{Teacher: fixed(.3, nan, .2), Weight: 2})
	require.NoError(t, err)
	require.Equal(t, ReciprocalRank, e.Fusion())
	want := []float64{1./63 + 2./61, 1./61 + 2/62.5, 1./62 + 2/62.5}
	got, err := e.Score(t.Context(), retort.Query{}, ps)
	require.NoError(t, err)
	require.InDeltaSlice(t, want, got, 1e-15)

	cached := cache(t, mustRankFusion(t, Member{Teacher: WithFingerprint(fixed(1, 9, 4), "x")}, Member{
		Teacher: WithFingerprint(fixed(.3, nan, .2), "y"), Weight: 2,
	}), openStore(t, t.TempDir()))
	got, err = cached.Score(t.Context(), retort.Query{}, ps)
	require.NoError(t, err)
	require.InDeltaSlice(t, want, got, 1e-15, "a cache keeps the fusion")
}

func mustRankFusion(t *testing.T, members ...Member) *Ensemble {
	e, err := NewRankFusion(members...)
	require.NoError(t, err)
	return e
}

func TestFitWeightsFindsTheTeacherThatIsWorthMore(t *testing.T) {
	o := WeightOptions{Split: "made", Names: []string{"good", "noise"}}
	for _, fusion := range []Fusion{ZScore, ReciprocalRank} {
		o.Fusion = fusion
		w, err := FitWeights(t.Context(), devLists(150, 2, 0), o)
		require.NoError(t, err)
		require.True(t, w.Kept, w)
		require.Greater(t, w.Weights[0], 2*w.Weights[1], w)
		require.Greater(t, w.Best, w.Equal)
		require.Greater(t, w.CrossValidated.Delta, 0.)
		require.Equal(t, 150, w.CrossValidated.N)
		again, err := FitWeights(t.Context(), devLists(150, 2, 0), o)
		require.NoError(t, err)
		require.Equal(t, w, again, "deterministic")
		require.Regexp(t, `^weights of (z-scores|reciprocal ranks) fitted on made \(150 queries\): good \S+, noise \S+, nDCG@10 \.\d{3} to \.\d{3}; `+
			`cross-validated \+0\.\d{3} \[\+0\.\d{3}, \+0\.\d{3}\], p (< )?\.\d{3}$`, w.String())
		encoded, err := json.Marshal(w)
		require.NoError(t, err)
		var read Weights
		require.NoError(t, json.Unmarshal(encoded, &read))
		require.Equal(t, *w, read)
	}
}

func TestFitWeightsKeepsEqualOnesWhereTheGainMayBeChance(t *testing.T) {
	w, err := FitWeights(t.Context(), devLists(60, 1, 1), WeightOptions{Split: "made", Names: []string{"a", "b"}})
	require.NoError(t, err)
	require.False(t, w.Kept)
	require.Equal(t, []float64{1, 1}, w.Weights)
	require.GreaterOrEqual(t, w.Best, w.Equal, "the search never ends below its start")
	require.Contains(t, w.String(), "not sure enough, equal weights kept")
}

func TestTheWeightsMakeTheEnsembleThatWasMeasured(t *testing.T) {
	lists := devLists(40, 2, 1, 0)
	w, err := FitWeights(t.Context(), lists, WeightOptions{Split: "made", Names: []string{"a", "b", "c"}, Grid: []float64{0, 1, 2}})
	require.NoError(t, err)
	w.Weights = w.Fitted
	var sum float64
	for _, l := range lists {
		e, err := w.Ensemble(fixed(l.Scores[0]...), fixed(l.Scores[1]...), fixed(l.Scores[2]...))
		require.NoError(t, err)
		scores, err := e.Score(t.Context(), retort.Query{}, make([]retort.Passage, 10))
		require.NoError(t, err)
		sum += metric.Value(eval.RankedBy(scores, l.Grades, l.Missed))
	}
	require.InDelta(t, w.Best, sum/40, 1e-12)

	w.Weights = []float64{0, 2, 1}
	e, err := w.Ensemble(fixed(1), fixed(1), fixed(1))
	require.NoError(t, err)
	require.Len(t, e.Members(), 2, "a weight of 0 leaves the member out")
	require.Equal(t, "b", e.Members()[0].Name)
	_, err = w.Ensemble(fixed(1))
	require.ErrorContains(t, err, "1 teachers for the weights of 3 (a, b, c)")
}

func TestFitWeightsNamesWhatIsWrong(t *testing.T) {
	good := WeightOptions{Split: "made", Names: []string{"a", "b"}}
	change := func(f func(o *WeightOptions, lists []Judged)) error {
		o, lists := good, devLists(12, 1, 1)
		f(&o, lists)
		_, err := FitWeights(t.Context(), lists, o)
		return err
	}
	for _, c := range []struct {
		want   string
		change func(o *WeightOptions, lists []Judged)
	}{
		{"Split is empty", func(o *WeightOptions, _ []Judged) { o.Split = "" }},
		{"Names has 1 teachers", func(o *WeightOptions, _ []Judged) { o.Names = o.Names[:1] }},
		{"Grid holds -1", func(o *WeightOptions, _ []Judged) { o.Grid = []float64{1, -1} }},
		{"Grid holds no weight above 0", func(o *WeightOptions, _ []Judged) { o.Grid = []float64{0} }},
		{"Fusion is 7", func(o *WeightOptions, _ []Judged) { o.Fusion = 7 }},
		{"list 3: scores of 1 teachers, want 2", func(_ *WeightOptions, l []Judged) { l[3].Scores = l[3].Scores[:1] }},
		{"list 3: 9 scores of teacher 1 and 10 grades", func(_ *WeightOptions, l []Judged) { l[3].Scores[1] = l[3].Scores[1][:9] }},
		{"list 3: teacher 0 gave +Inf", func(_ *WeightOptions, l []Judged) { l[3].Scores[0][4] = math.Inf(1) }},
		{"list 3: no passage is relevant", func(_ *WeightOptions, l []Judged) { clear(l[3].Grades) }},
	} {
		require.ErrorContains(t, change(c.change), c.want)
	}
	_, err := FitWeights(t.Context(), devLists(9, 1, 1), good)
	require.ErrorContains(t, err, "9 lists of made, want 10 or more")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = FitWeights(ctx, devLists(12, 1, 1), good)
	require.ErrorIs(t, err, context.Canceled)
}

func TestPercentileRangeSaysWhatItDid(t *testing.T) {
	lists := [][]float64{{0, 1, 2, 3, 4}, {5, 6, 7, 8, 9, 10}}
	r, err := PercentileRange(lists, 10, 90)
	require.NoError(t, err)
	require.Equal(t, "percentile min-max of 11 scores in 2 lists: 1 (percentile 10) to 0, 9 (percentile 90) to 1; clipped 1 below, 1 above", r.String())
	want, err := PercentileMinMax(lists, 10, 90)
	require.NoError(t, err)
	for i, scores := range lists {
		got, err := r.Scale(scores)
		require.NoError(t, err)
		require.Equal(t, want[i], got)
	}
	for _, c := range []struct {
		lists  [][]float64
		lo, hi float64
		want   string
	}{
		{lists, 90, 10, "want 0 <= lo < hi <= 100"},
		{[][]float64{{1}, {nan}}, 1, 99, "list 1: score 0 is NaN"},
		{[][]float64{{}, {}}, 1, 99, "no scores in 2 lists"},
	} {
		_, err := PercentileRange(c.lists, c.lo, c.hi)
		require.ErrorContains(t, err, c.want)
	}
	_, err = r.Scale([]float64{nan})
	require.ErrorContains(t, err, "score 0 is NaN")
}
