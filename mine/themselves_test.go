package mine

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
)

func TestAQueryIsNeverInItsOwnList(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "a", Text: "Uniforms save money"},
		{ID: "b", Text: "they cost more"},
		{ID: "c", Text: "lunch"},
	})
	require.NoError(t, err)
	ranking := []Hit{{Index: 0, Score: 9}, {Index: 1, Score: 5}, {Index: 2, Score: 1}}
	for _, c := range []struct {
		name  string
		query retort.Query
		want  []string
	}{
		{"itself", retort.Query{ID: "a", Text: "uniforms  save money"}, []string{"b", "c"}},
		{"itself, as its source", retort.Query{ID: "a", Text: "uniforms save money", Source: "a"}, []string{"b", "c"}},
		{"its id, another text", retort.Query{ID: "a", Text: "are uniforms dear"}, []string{"a", "b", "c"}},
		{"its text, another id", retort.Query{ID: "q", Text: "uniforms save money"}, []string{"a", "b", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := ListOptions{Top: 3, Depth: 3, KeepSource: true, WithScores: true}
			lists, err := Lists(corpus, []retort.Query{c.query}, [][]Hit{ranking}, o)
			require.NoError(t, err)
			require.Equal(t, c.want, lists[0].IDs)
			require.Len(t, lists[0].Scores, len(c.want))

			given := []retort.List{{Query: c.query, IDs: []string{"c", "a", "b"}, Scores: []float64{1, 2, 3}}}
			out, changed, err := WithoutThemselves(corpus, given)
			require.NoError(t, err)
			require.Equal(t, []string{"c", "a", "b"}, given[0].IDs)
			n, err := Themselves(corpus, []retort.Query{c.query})
			require.NoError(t, err)
			require.Equal(t, n, changed)
			if len(c.want) == 2 {
				require.Equal(t, 1, changed)
				require.Equal(t, []string{"c", "b"}, out[0].IDs)
				require.Equal(t, []float64{1, 3}, out[0].Scores)
				return
			}
			require.Zero(t, changed)
			require.Equal(t, given, out)
		})
	}
}

func TestRowsAreBroughtToLengthOne(t *testing.T) {
	m := blas32.General{Rows: 3, Cols: 2, Stride: 3, Data: []float32{3, 4, -1, .6, .8, -1, 1e-30, 0, -1}}
	changed, err := NormalizeRows(m)
	require.NoError(t, err)
	require.Equal(t, 2, changed)
	require.Equal(t, []float32{.6, .8, -1, .6, .8, -1, 1, 0, -1}, m.Data)
	for want, v := range map[string]float32{
		"is zero": 0, "not finite": float32(math.NaN()),
		"has a value that is not finite": float32(math.Inf(-1)),
	} {
		_, err := NormalizeRows(blas32.General{Rows: 2, Cols: 1, Stride: 1, Data: []float32{1, v}})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "row 1")
	}
}
