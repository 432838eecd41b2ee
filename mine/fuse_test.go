package mine_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"
)

func hit(index int, score float32) mine.Hit { return mine.Hit{Index: index, Score: score} }

// By hand, c = 60: passage 7 is 1st and 3rd, 5 is 2nd and 1st, 9 is 3rd and absent, 1 is absent and 2nd.
func TestRRFByHand(t *testing.T) {
	a := [][]mine.Hit{{hit(7, 30), hit(5, 20), hit(9, 10)}}
	b := [][]mine.Hit{{hit(5, .9), hit(1, .8), hit(7, .7)}}
	fused, err := mine.RRF(60, 10, a, b)
	require.NoError(t, err)
	require.Equal(t, []int{5, 7, 1, 9}, indices(fused[0]))
	for i, want := range []float64{1./62 + 1./61, 1./61 + 1./63, 1. / 62, 1. / 63} {
		require.InDelta(t, want, fused[0][i].Score, 1e-8)
	}
}

func TestRRFBreaksTiesByIndexAndCutsAtK(t *testing.T) {
	a := [][]mine.Hit{{hit(8, 3), hit(2, 1)}, {}}
	b := [][]mine.Hit{{hit(2, 3), hit(8, 1)}, {hit(4, 1)}}
	for range 20 { // maps iterate in random order
		fused, err := mine.RRF(60, 1, a, b)
		require.NoError(t, err)
		require.Equal(t, []int{2}, indices(fused[0]))
		require.Equal(t, []int{4}, indices(fused[1]))
	}
}

// By hand, depth 3. Ranker a: 12, 10, 8 have mean 10 and deviation sqrt(8/3) = 1.632993; passage 4 lies below the depth,
// and its 6 is the ranker's lowest, which stands in for passage 5. Ranker b: 1, .5, 0 have mean .5, deviation .408248; its
// lowest, 0, stands in for 2 and 4.
func TestZScoreByHand(t *testing.T) {
	a := [][]mine.Hit{{hit(1, 12), hit(2, 10), hit(3, 8), hit(4, 6)}}
	b := [][]mine.Hit{{hit(3, 1), hit(5, .5), hit(1, 0)}}
	fused, err := mine.ZScore(3, 10, a, b)
	require.NoError(t, err)
	require.Equal(t, []int{1, 3, 2, 5, 4}, indices(fused[0]), "1 and 3 tie")
	z := 1.224745
	for i, want := range []float64{z - z, -z + z, 0 - z, -2*z + 0, -2*z - z} {
		require.InDelta(t, want, fused[0][i].Score, 1e-5)
	}
}

func TestZScoreOfDegenerateRankings(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []mine.Hit
		want []mine.Hit
	}{
		{"both empty", nil, nil, nil},
		{"one empty adds nothing", []mine.Hit{hit(1, 3), hit(0, 1)}, nil, []mine.Hit{hit(1, 1), hit(0, -1)}},
		{"all equal add 0", []mine.Hit{hit(1, 3), hit(0, 1)}, []mine.Hit{hit(0, .1), hit(5, .1)}, []mine.Hit{hit(1, 1), hit(0, -1), hit(5, -1)}},
		{"a single hit adds 0", []mine.Hit{hit(9, 3)}, []mine.Hit{hit(4, 1)}, []mine.Hit{hit(4, 0), hit(9, 0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fused, err := mine.ZScore(100, 10, [][]mine.Hit{c.a}, [][]mine.Hit{c.b})
			require.NoError(t, err)
			require.Equal(t, c.want, fused[0])
		})
	}
}

func TestFusionBadInputIsAnError(t *testing.T) {
	ok := [][]mine.Hit{{hit(1, 1)}}
	for _, c := range []struct {
		name string
		k    int
		b    [][]mine.Hit
		says string
	}{
		{"k of 0", 0, ok, "k is 0"},
		{"rankers of different queries", 1, nil, "ranker 1 has rankings for 0 queries, ranker 0 for 1"},
		{"a passage twice", 1, [][]mine.Hit{{hit(3, 1), hit(3, 0)}}, "ranker 1, query 0: passage 3 is ranked twice"},
		{"a score not a number", 1, [][]mine.Hit{{hit(3, float32(math.NaN()))}}, "ranker 1, query 0: passage 3 has score NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mine.RRF(60, c.k, ok, c.b)
			require.ErrorContains(t, err, c.says)
			_, err = mine.ZScore(100, c.k, ok, c.b)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := mine.RRF(-1, 1, ok)
	require.ErrorContains(t, err, "c is -1")
	_, err = mine.RRF(math.NaN(), 1, ok)
	require.ErrorContains(t, err, "c is NaN")
	_, err = mine.ZScore(0, 1, ok)
	require.ErrorContains(t, err, "depth is 0")
	none, err := mine.RRF(60, 1)
	require.NoError(t, err)
	require.Empty(t, none)
}

// fixedScores gives every query the same scores.
type fixedScores struct {
	scores []float32
	err    error
}

func (f fixedScores) Len() int { return len(f.scores) }

func (f fixedScores) ScoreAll(_ context.Context, queries []retort.Query) (blas32.General, error) {
	m := matrix(len(queries), len(f.scores))
	for i := range queries {
		copy(m.Data[i*m.Stride:], f.scores)
	}
	return m, f.err
}

// By hand, depth 2: the best two of the first ranker, 4 and 2, have mean 3 and deviation 1; those of the second, 10 and 0,
// have mean 5 and deviation 5. So the z-scores are -2+1, 1-1, -1-1 and -2-1.
func TestZScoreFusionByHand(t *testing.T) {
	f, err := mine.NewZScoreFusion(2, fixedScores{scores: []float32{1, 4, 2, 1}}, fixedScores{scores: []float32{10, 0, 0, 0}})
	require.NoError(t, err)
	rankings, err := f.Search(context.Background(), queriesOf("a", "b"), 3)
	require.NoError(t, err)
	want := []mine.Hit{hit(1, 0), hit(0, -1), hit(2, -2)}
	require.Equal(t, [][]mine.Hit{want, want}, rankings)
}

// Over rankings of the whole corpus no ranker lacks a score, so both ways agree.
func TestZScoreFusionEqualsZScoreOfWholeRankings(t *testing.T) {
	const n, depth = 400, 50
	ctx := context.Background()
	corpus := corpusOf(t, randomTexts(11, n, 15)...)
	first, err := mine.NewDense(ctx, wordHash{32}, corpus, nil)
	require.NoError(t, err)
	second, err := mine.NewDense(ctx, wordHash{5}, corpus, nil)
	require.NoError(t, err)
	queries := queriesOf(randomTexts(12, 9, 5)...)
	a, err := first.Search(ctx, queries, n)
	require.NoError(t, err)
	b, err := second.Search(ctx, queries, n)
	require.NoError(t, err)
	want, err := mine.ZScore(depth, 30, a, b)
	require.NoError(t, err)
	f, err := mine.NewZScoreFusion(depth, first, second)
	require.NoError(t, err)
	got, err := f.Search(ctx, queries, 30)
	require.NoError(t, err)
	for q := range queries {
		require.Equal(t, indices(want[q]), indices(got[q]))
		for i := range want[q] {
			require.InDelta(t, want[q][i].Score, got[q][i].Score, 1e-4)
		}
	}
}

func TestZScoreFusionCanBeFusedAgain(t *testing.T) {
	one, err := mine.NewZScoreFusion(2, fixedScores{scores: []float32{1, 4, 2, 1}})
	require.NoError(t, err)
	both, err := mine.NewZScoreFusion(2, one, fixedScores{scores: []float32{10, 0, 0, 0}})
	require.NoError(t, err)
	require.Equal(t, 4, both.Len())
	rankings, err := both.Search(context.Background(), queriesOf("a"), 100)
	require.NoError(t, err)
	require.Equal(t, []int{1, 0, 2, 3}, indices(rankings[0]))
}

func TestZScoreFusionBadInputIsAnError(t *testing.T) {
	ok := fixedScores{scores: []float32{1, 2}}
	failing := fixedScores{scores: []float32{1, 2}, err: errors.New("out of order")}
	last := func(_ any, err error) error { return err }
	search := func(ctx context.Context, k int, s mine.Scorer) error {
		f, err := mine.NewZScoreFusion(100, ok, s)
		require.NoError(t, err)
		return last(f.Search(ctx, queriesOf("a"), k))
	}
	ctx := context.Background()
	for _, c := range []struct {
		name string
		err  error
		says string
	}{
		{"depth of 0", last(mine.NewZScoreFusion(0, ok)), "depth is 0"},
		{"no rankers", last(mine.NewZScoreFusion(100)), "no rankers"},
		{"different corpora", last(mine.NewZScoreFusion(100, ok, fixedScores{scores: make([]float32, 3)})), "ranker 1 has 3 passages"},
		{"k of 0", search(ctx, 0, ok), "k is 0"},
		{"a ranker fails", search(ctx, 1, failing), "ranker 1: out of order"},
		{"a score not finite", search(ctx, 1, fixedScores{scores: []float32{0, float32(math.Inf(1))}}), "ranker 1: scores: vector 0 holds +Inf"},
	} {
		t.Run(c.name, func(t *testing.T) { require.ErrorContains(t, c.err, c.says) })
	}
	require.ErrorIs(t, search(cancelled(), 1, ok), context.Canceled)
}
