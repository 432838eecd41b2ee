package mine_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/mine"
)

// clustered returns vectors of length 1 around some centres, as texts are around topics.
func clustered(seed uint64, n, d int) blas32.General {
	const centres = 50
	middle := randomMatrix(99, centres, d)
	m := randomMatrix(seed, n, d)
	random := rand.New(rand.NewPCG(seed, 7))
	for i := range n {
		kernel.Add(slabOf(m, i, 1).Data[:d], slabOf(middle, random.IntN(centres), 1).Data)
	}
	if _, err := mine.NormalizeRows(m); err != nil {
		panic(err)
	}
	return m
}

func quantize(t testing.TB, passages blas32.General, p mine.Precision) (*mine.Dense, *mine.Quantized) {
	t.Helper()
	dense, err := mine.NewDenseVectors(nil, passages)
	require.NoError(t, err)
	quantized, err := dense.Quantize(p)
	require.NoError(t, err)
	return dense, quantized
}

// recall returns the share of the wanted passages that were found.
func recall(want, got [][]mine.Hit) float64 {
	found, all := 0, 0
	for q := range want {
		all += len(want[q])
		for _, h := range want[q] {
			if slices.Contains(got[q], h) { // with the same score
				found++
			}
		}
	}
	return float64(found) / float64(all)
}

func TestQuantizedFindsWhatDenseFinds(t *testing.T) {
	for _, path := range kernel.Paths() {
		for _, c := range []struct {
			precision mine.Precision
			d         int
			recall    float64
		}{
			{mine.Float16, 96, 1},
			{mine.Float16, 37, 1},
			{mine.Int8, 96, 1},
			{mine.Int8, 37, 1},
			{mine.Binary, 96, .8},
			{mine.Binary, 67, .75},
		} {
			t.Run(fmt.Sprint(path, " ", c.precision, " ", c.d), func(t *testing.T) {
				defer kernel.Force(path)()
				passages, queries := clustered(1, 2000, c.d), clustered(2, 131, c.d)
				dense, quantized := quantize(t, passages, c.precision)
				want, err := dense.SearchVectors(t.Context(), queries, 20)
				require.NoError(t, err)
				var first [][]mine.Hit
				for _, procs := range []int{1, 3} {
					before := runtime.GOMAXPROCS(procs)
					got, err := quantized.SearchVectors(t.Context(), queries, 20)
					runtime.GOMAXPROCS(before)
					require.NoError(t, err)
					require.GreaterOrEqual(t, recall(want, got), c.recall)
					if first == nil {
						first = got
					}
					require.Equal(t, first, got, "by %d processors", procs)
				}
				one, err := quantized.SearchVectors(t.Context(), slabOf(queries, 5, 1), 20)
				require.NoError(t, err)
				require.Equal(t, first[5], one[0], "alone")
			})
		}
	}
}

func slabOf(m blas32.General, start, n int) blas32.General {
	return blas32.General{Rows: n, Cols: m.Cols, Stride: m.Stride, Data: m.Data[start*m.Stride:]}
}

func TestQuantizedIsExactWhereAllPassagesAreCandidates(t *testing.T) {
	passages, queries := randomMatrix(1, 30, 24), randomMatrix(2, 3, 24)
	clear(passages.Data[4*passages.Stride:][:24]) // a vector without a direction
	clear(queries.Data[queries.Stride:][:24])
	for _, p := range mine.Precisions() {
		dense, quantized := quantize(t, passages, p)
		for _, k := range []int{15, 30, math.MaxInt} {
			want, err := dense.SearchVectors(t.Context(), queries, k)
			require.NoError(t, err)
			got, err := quantized.SearchVectors(t.Context(), queries, k)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s, k %d", p, k)
		}
	}
}

func TestQuantizedVectorsAreSmall(t *testing.T) {
	for p, want := range map[mine.Precision]int{mine.Float16: 768, mine.Int8: 388, mine.Binary: 48} {
		_, quantized := quantize(t, randomMatrix(1, 10, 384), p)
		require.Equal(t, 10*want, quantized.Bytes(), p)
	}
}

func TestQuantizedTakesTextsAsDenseDoes(t *testing.T) {
	texts := randomTexts(1, 300, 20)
	dense, err := mine.NewDense(t.Context(), wordHash{64}, corpusOf(t, texts...), nil)
	require.NoError(t, err)
	queries := []retort.Query{{ID: "a", Text: texts[7]}}
	want, err := dense.Search(t.Context(), queries, 5)
	require.NoError(t, err)
	for _, p := range mine.Precisions() {
		quantized, err := dense.Quantize(p)
		require.NoError(t, err)
		got, err := quantized.Search(t.Context(), queries, 5)
		require.NoError(t, err)
		require.Equal(t, want[0][0], got[0][0], p)
	}
}

func TestQuantizedRefusesWhatItCannotSearch(t *testing.T) {
	passages := randomMatrix(1, 10, 4)
	dense, quantized := quantize(t, passages, mine.Int8)
	_, err := dense.Quantize("int4")
	require.ErrorContains(t, err, `precision "int4" is unknown, want one of ["float16" "int8" "binary"]`)
	_, err = quantized.SearchVectors(t.Context(), passages, 0)
	require.ErrorContains(t, err, "k is 0, want at least 1")
	_, err = quantized.SearchVectors(t.Context(), randomMatrix(1, 2, 5), 1)
	require.ErrorContains(t, err, "queries have 5 dimensions, but passages have 4")
	none, err := quantized.SearchVectors(t.Context(), blas32.General{}, 1)
	require.NoError(t, err)
	require.Empty(t, none)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = quantized.SearchVectors(ctx, passages, 1)
	require.ErrorIs(t, err, context.Canceled)

	passages.Data[6] = 1e6
	large, err := mine.NewDenseVectors(nil, passages)
	require.NoError(t, err)
	_, err = large.Quantize(mine.Float16)
	require.ErrorContains(t, err, "vector 1 holds 1e+06, and float16 ends at 65504")
	_, err = large.Quantize(mine.Int8)
	require.NoError(t, err)
}
