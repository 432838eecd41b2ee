package mine_test

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"
)

// sortAll is the plain way: every inner product in float64, then a sort.
func sortAll(queries, passages blas32.General, k int) [][]int {
	rankings := make([][]int, queries.Rows)
	for q := range rankings {
		scores := make([]float64, passages.Rows)
		order := make([]int, passages.Rows)
		for p := range order {
			order[p] = p
			for j := range queries.Cols {
				scores[p] += float64(queries.Data[q*queries.Stride+j]) * float64(passages.Data[p*passages.Stride+j])
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
		rankings[q] = order[:min(k, len(order))]
	}
	return rankings
}

func TestTopKEqualsSortingAllInnerProducts(t *testing.T) {
	for _, c := range []struct{ queries, passages, d, k int }{
		{1, 1, 1, 1},
		{1, 1000, 24, 10},
		{3, 63, 7, 100},
		{32, 64, 16, 64},
		{33, 65, 17, 5},
		{100, 700, 31, 20},
	} {
		name := strconv.Itoa(c.queries) + " of " + strconv.Itoa(c.passages) + " d " + strconv.Itoa(c.d)
		t.Run(name, func(t *testing.T) {
			queries, passages := randomMatrix(1, c.queries, c.d), randomMatrix(2, c.passages, c.d)
			want := sortAll(queries, passages, c.k)
			for _, procs := range []int{1, 3, 8} {
				withProcs(t, procs, func() {
					rankings, err := mine.TopK(context.Background(), queries, passages, c.k)
					require.NoError(t, err)
					require.Len(t, rankings, c.queries)
					for q, r := range rankings {
						require.Equal(t, want[q], indices(r), "query %d on %d processors", q, procs)
					}
				})
			}
		})
	}
}

func TestTopKReadsRowsByTheirStride(t *testing.T) {
	wide := randomMatrix(3, 50, 12)
	narrow := matrix(50, 5)
	for i := range 50 {
		copy(narrow.Data[i*5:], wide.Data[i*12:i*12+5])
	}
	view := blas32.General{Rows: 50, Cols: 5, Stride: 12, Data: wide.Data[:49*12+5]}
	want, err := mine.TopK(context.Background(), narrow, narrow, 7)
	require.NoError(t, err)
	got, err := mine.TopK(context.Background(), view, view, 7)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// An odd width puts equal rows at different addresses modulo 16, which changes the order in which BLAS kernels sum.
func TestTopKGivesEqualVectorsEqualScores(t *testing.T) {
	const n, d = 300, 37
	one := randomMatrix(4, 1, d)
	same := matrix(n, d)
	for i := range n {
		copy(same.Data[i*d:], one.Data)
	}
	rankings, err := mine.TopK(context.Background(), randomMatrix(5, 40, d), same, n)
	require.NoError(t, err)
	for _, r := range rankings {
		for i, h := range r {
			require.Equal(t, i, h.Index)
			require.Equal(t, r[0].Score, h.Score)
		}
	}
}

func TestTopKOfAQueryDoesNotDependOnItsCompany(t *testing.T) {
	queries, passages := randomMatrix(6, 70, 19), randomMatrix(7, 200, 19)
	together, err := mine.TopK(context.Background(), queries, passages, 30)
	require.NoError(t, err)
	for q := range queries.Rows {
		one := matrix(1, 19, queries.Data[q*19:(q+1)*19]...)
		alone, err := mine.TopK(context.Background(), one, passages, 30)
		require.NoError(t, err)
		require.Equal(t, together[q], alone[0])
	}
}

func TestTopKOfNothingIsEmpty(t *testing.T) {
	rankings, err := mine.TopK(context.Background(), matrix(2, 3), matrix(0, 3), 5)
	require.NoError(t, err)
	require.Equal(t, [][]mine.Hit{{}, {}}, rankings)
	rankings, err = mine.TopK(context.Background(), matrix(0, 3), matrix(2, 3), 5)
	require.NoError(t, err)
	require.Empty(t, rankings)
}

func TestTopKBadInputIsAnError(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	ok := matrix(2, 2, 1, 0, 0, 1)
	for _, c := range []struct {
		name              string
		queries, passages blas32.General
		k                 int
		says              string
	}{
		{"k of 0", ok, ok, 0, "k is 0"},
		{"widths differ", matrix(1, 3), ok, 1, "queries have 3 dimensions, but passages have 2"},
		{"no width", matrix(1, 0), matrix(1, 0), 1, "no dimensions"},
		{"NaN in a passage", ok, matrix(2, 2, 1, 0, 0, nan), 1, "passages: vector 1 holds NaN at 1"},
		{"infinite query", matrix(1, 2, inf, 0), ok, 1, "queries: vector 0 holds +Inf at 0"},
		{"overflow", matrix(1, 2, 1e20, 0), matrix(1, 2, 1e20, 0), 1, "overflow"},
		{
			"too little data", ok,
			blas32.General{Rows: 3, Cols: 2, Stride: 2, Data: make([]float32, 5)},
			1,
			"do not fit in 5 numbers",
		},
		{"stride below width", ok, blas32.General{Rows: 3, Cols: 2, Stride: 1, Data: make([]float32, 6)}, 1, "stride 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mine.TopK(context.Background(), c.queries, c.passages, c.k)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := mine.TopK(cancelled(), ok, ok, 1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDenseFindsAPassageByItsOwnText(t *testing.T) {
	texts := randomTexts(8, 2500, 12) // three blocks for the encoder
	var reports []int
	x, err := mine.NewDense(context.Background(), wordHash{48}, corpusOf(t, texts...), func(done, total int) {
		require.Equal(t, 2500, total)
		reports = append(reports, done)
	})
	require.NoError(t, err)
	require.Len(t, reports, 20)
	for i, done := range reports {
		require.Equal(t, min((i+1)*128, 2500), done)
	}
	require.Equal(t, 2500, x.Len())
	queries := queriesOf(texts[3], texts[1024], texts[2499])
	rankings, err := x.Search(context.Background(), queries, 1)
	require.NoError(t, err)
	for q, text := range queries {
		require.Equal(t, text.Text, texts[rankings[q][0].Index])
		require.InDelta(t, 1, rankings[q][0].Score, 1e-5)
	}
}

func TestDenseSearchScoreAndScoreAllAgree(t *testing.T) {
	const n = 150
	enc := wordHash{19}
	x, err := mine.NewDense(context.Background(), enc, corpusOf(t, randomTexts(9, n, 10)...), nil)
	require.NoError(t, err)
	queries := queriesOf(randomTexts(10, 40, 4)...)
	rankings, err := x.Search(context.Background(), queries, 1000)
	require.NoError(t, err)
	all, err := x.ScoreAll(context.Background(), queries)
	require.NoError(t, err)
	require.Equal(t, []int{40, n}, []int{all.Rows, all.Cols})
	for q, query := range queries {
		require.Len(t, rankings[q], n, "k above the corpus gives all of it")
		vector, err := enc.Encode(context.Background(), encoder.Query, []string{query.Text})
		require.NoError(t, err)
		scores, err := x.Score(vector.Data, indices(rankings[q]))
		require.NoError(t, err)
		for r, h := range rankings[q] {
			require.Equal(t, h.Score, all.Data[q*all.Stride+h.Index])
			require.Equal(t, float64(h.Score), scores[r])
		}
	}
}

func TestDenseBadInputIsAnError(t *testing.T) {
	ctx := context.Background()
	corpus := corpusOf(t, "cat", "dog")
	ok := matrix(2, 2, 1, 0, 0, 1)
	x, err := mine.NewDenseVectors(wordHash{2}, ok)
	require.NoError(t, err)
	bare, err := mine.NewDenseVectors(nil, ok)
	require.NoError(t, err)
	build := func(made blas32.General) error {
		_, err := mine.NewDense(ctx, brokenEncoder{2, made, nil}, corpus, nil)
		return err
	}
	last := func(_ any, err error) error { return err }
	for _, c := range []struct {
		name string
		err  error
		says string
	}{
		{"no file", last(mine.OpenDense(nil, filepath.Join(t.TempDir(), "none.npy"))), "none.npy"},
		{"no passages", last(mine.NewDense(ctx, wordHash{2}, corpusOf(t), nil)), "the corpus is empty"},
		{"vectors of another width than said", build(matrix(2, 3)), "returned a [2 x 3] matrix for 2 texts of 2 dimensions"},
		{"too few vectors", build(matrix(1, 2)), "returned a [1 x 2] matrix for 2 texts"},
		{
			"vectors not finite", build(matrix(2, 2, 0, 0, 0, float32(math.NaN()))),
			"passages 0 to 1: vectors: vector 1 holds NaN",
		},
		{"given vectors not finite", last(mine.NewDenseVectors(nil, matrix(1, 1, float32(math.Inf(-1))))), "holds -Inf"},
		{
			"given vectors of another width", last(mine.NewDenseVectors(wordHash{3}, ok)),
			"passage vectors have 2 dimensions, but the encoder returns 3",
		},
		{"no encoder", last(bare.Search(ctx, queriesOf("cat"), 1)), "no encoder"},
		{"k of 0", last(x.Search(ctx, queriesOf("cat"), 0)), "k is 0"},
		{"k of 0 for vectors", last(x.SearchVectors(ctx, ok, 0)), "k is 0"},
		{
			"query vectors of another width", last(x.SearchVectors(ctx, matrix(1, 3), 1)),
			"queries have 3 dimensions, but passages have 2",
		},
		{"query of another width", last(x.Score(make([]float32, 3), []int{0})), "queries have 3 dimensions, but passages have 2"},
		{"index too high", last(x.Score(make([]float32, 2), []int{2})), "passage index 2 is out of range: the corpus has 2 passages"},
	} {
		t.Run(c.name, func(t *testing.T) { require.ErrorContains(t, c.err, c.says) })
	}
	_, err = mine.NewDense(ctx, brokenEncoder{2, ok, errUnreadable}, corpus, nil)
	require.ErrorIs(t, err, errUnreadable)
	_, err = mine.NewDense(ctx, wordHash{2}, brokenCorpus{corpus}, nil)
	require.ErrorIs(t, err, errUnreadable)
	_, err = mine.NewDense(cancelled(), wordHash{2}, corpus, nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = x.Search(cancelled(), queriesOf("cat"), 1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = x.SearchVectors(cancelled(), ok, 1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = x.ScoreAll(cancelled(), queriesOf("cat"))
	require.ErrorIs(t, err, context.Canceled)
}

func TestDenseSearchOfNoQueriesIsEmpty(t *testing.T) {
	x, err := mine.NewDenseVectors(wordHash{2}, matrix(1, 2, 1, 0))
	require.NoError(t, err)
	rankings, err := x.Search(context.Background(), nil, 3)
	require.NoError(t, err)
	require.Empty(t, rankings)
}

// Vectors that are more than a slab are multiplied in several; the odd width puts the slabs' ends inside blocks.
func TestTopKOfManySlabsEqualsTheScoresOfAll(t *testing.T) {
	const n, d, k = 9000, 2049, 50 // 74 MB
	passages := matrix(n, d)
	r := rand.New(rand.NewPCG(20, 20))
	for i := range passages.Data {
		passages.Data[i] = float32(r.Uint32N(7)) - 3
	}
	queries := matrix(3, d)
	for i := range queries.Data {
		queries.Data[i] = float32(r.Uint32N(3)) - 1
	}
	x, err := mine.NewDenseVectors(nil, passages)
	require.NoError(t, err)
	everything := make([]int, n)
	for i := range everything {
		everything[i] = i
	}
	for _, procs := range []int{1, 4} {
		withProcs(t, procs, func() {
			rankings, err := x.SearchVectors(context.Background(), queries, k)
			require.NoError(t, err)
			for q, got := range rankings {
				scores, err := x.Score(queries.Data[q*d:(q+1)*d], everything)
				require.NoError(t, err)
				order := slices.Clone(everything)
				slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
				require.Equal(t, order[:k], indices(got), "with many ties: the numbers are small integers")
			}
		})
	}
}
