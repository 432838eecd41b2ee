package mine_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

func hit(index int, score float32) mine.Hit { return mine.Hit{Index: index, Score: score} }

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

// By hand, depth 2: the best two of the first ranker, 4 and 2, have mean 3 and deviation 1; those of the second, 10 and
// 0, have mean 5 and deviation 5. So the z-scores are -2+1, 1-1, -1-1 and -2-1.
func TestZScoreFusionByHand(t *testing.T) {
	f, err := mine.NewZScoreFusion(2, fixedScores{scores: []float32{1, 4, 2, 1}},
		fixedScores{scores: []float32{10, 0, 0, 0}})
	require.NoError(t, err)
	rankings, err := f.Search(context.Background(), queriesOf("a", "b"), 3)
	require.NoError(t, err)
	want := []mine.Hit{hit(1, 0), hit(0, -1), hit(2, -2)}
	require.Equal(t, [][]mine.Hit{want, want}, rankings)
}

// sumOfZ fuses rankings of the whole corpus by the formula as it is written.
func sumOfZ(depth int, rankings ...[]mine.Hit) []mine.Hit {
	sum := make([]float64, len(rankings[0]))
	for _, ranking := range rankings {
		var mean, squares float64
		for _, h := range ranking[:depth] {
			mean += float64(h.Score) / float64(depth)
		}
		for _, h := range ranking[:depth] {
			squares += (float64(h.Score) - mean) * (float64(h.Score) - mean)
		}
		for _, h := range ranking {
			sum[h.Index] += (float64(h.Score) - mean) / math.Sqrt(squares/float64(depth))
		}
	}
	fused := make([]mine.Hit, len(sum))
	for i, s := range sum {
		fused[i] = hit(i, float32(s))
	}
	slices.SortStableFunc(fused, func(a, b mine.Hit) int { return cmp.Compare(b.Score, a.Score) })
	return fused
}

func TestZScoreFusionEqualsTheFormulaOverWholeRankings(t *testing.T) {
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
	want := make([][]mine.Hit, len(queries))
	for q := range queries {
		want[q] = sumOfZ(depth, a[q], b[q])[:30]
	}
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
		{"depth below 0", last(mine.NewZScoreFusion(-1, ok)), "depth is -1"},
		{"no rankers", last(mine.NewZScoreFusion(100)), "no rankers"},
		{
			"different corpora", last(mine.NewZScoreFusion(100, ok, fixedScores{scores: make([]float32, 3)})),
			"ranker 1 has 3 passages",
		},
		{"k of 0", search(ctx, 0, ok), "k is 0"},
		{"a ranker fails", search(ctx, 1, failing), "ranker 1: out of order"},
		{
			"a score not finite", search(ctx, 1, fixedScores{scores: []float32{0, float32(math.Inf(1))}}),
			"ranker 1: scores: vector 0 holds +Inf",
		},
	} {
		t.Run(c.name, func(t *testing.T) { require.ErrorContains(t, c.err, c.says) })
	}
	require.ErrorIs(t, search(cancelled(), 1, ok), context.Canceled)
}
