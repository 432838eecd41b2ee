package pipeline

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestCapSourceBringsTheSourceDownToTheBestOther(t *testing.T) {
	for _, c := range []struct {
		name, source string
		scores, want []float64
	}{
		{"source far ahead", "b", []float64{3, 9, 1}, []float64{3, 3, 1}},
		{"source behind", "c", []float64{3, 9, 1}, []float64{3, 9, 1}},
		{"source not in the list", "d", []float64{3, 9, 1}, []float64{3, 9, 1}},
		{"no source", "", []float64{3, 9, 1}, []float64{3, 9, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := retort.List{Query: retort.Query{Source: c.source}, IDs: []string{"a", "b", "c"}, Scores: c.scores}
			require.Equal(t, c.want, capSource(l))
		})
	}
	alone := retort.List{Query: retort.Query{Source: "a"}, IDs: []string{"a"}, Scores: []float64{7}}
	require.Equal(t, []float64{7}, capSource(alone))
}

func TestKeptSourcesAreInTheListsAndCapped(t *testing.T) {
	p := pipeline(t)
	p.Generator = fixedGenerator{"extractive"}
	p.Mining.List.DropSource = false
	queries, err := p.MakeQueries(t.Context(), nil)
	require.NoError(t, err)
	lists, err := p.MakeLists(t.Context(), queries, nil)
	require.NoError(t, err)
	require.NotEmpty(t, lists)
	for _, l := range lists {
		require.Contains(t, l.IDs, l.Query.Source)
		top := 0
		for _, s := range l.Scores {
			if s == 1 {
				top++
			}
		}
		require.GreaterOrEqual(t, top, 1)
		if l.IDs[0] == l.Query.Source {
			require.GreaterOrEqual(t, top, 2, "a source in front is no better than the next")
		}
	}
}

// numpy.percentile([0, 1, ..., 100], [1, 99]) is [1, 99]; that of [0, 10], [0.1, 9.9].
func TestPercentileMinMaxHasOneRangeAQueryType(t *testing.T) {
	long := make([]float64, 98)
	for i := range long {
		long[i] = float64(3 + i)
	}
	lists := []retort.List{
		{Query: retort.Query{ID: "1", Type: "question"}, Scores: []float64{0, 1, 2}},
		{Query: retort.Query{ID: "2", Type: "claim"}, Scores: []float64{10, 0}},
		{Query: retort.Query{ID: "3", Type: "question"}, Scores: long},
	}
	p := &stages{Mining: Mining{Target: PercentileMinMax}}
	require.NoError(t, p.calibrate(t.Context(), lists))
	require.InDeltaSlice(t, []float64{0, 0, 1. / 98}, lists[0].Scores, 1e-12)
	require.InDeltaSlice(t, []float64{1, 0}, lists[1].Scores, 1e-12)
	require.InDelta(t, 2./98, lists[2].Scores[0], 1e-12)
	require.InDelta(t, 97./98, lists[2].Scores[95], 1e-12)
	require.Equal(t, []float64{1, 1}, lists[2].Scores[96:])
	require.NotEqual(t, p.targetSettings(), (&stages{}).targetSettings())
	require.NoError(t, p.Mining.validateTarget())

	lists[1].Scores = []float64{math.NaN()}
	require.ErrorContains(t, p.calibrate(t.Context(), lists), `"claim"`)
}

func TestDrawEvenlyTakesFromEverySource(t *testing.T) {
	var values []string
	for range 50 {
		values = append(values, "many")
	}
	values = append(values, "one", "two", "two", "three", "three", "three")
	itself := func(s string) string { return s }
	for seed := range uint64(20) {
		count := map[string]int{}
		for _, v := range drawEvenly(values, itself, 8, seed) {
			count[v]++
		}
		require.Equal(t, map[string]int{"many": 8 - 1 - count["two"] - count["three"], "one": 1, "two": count["two"], "three": count["three"]}, count)
		require.GreaterOrEqual(t, count["two"], 2)
		require.GreaterOrEqual(t, count["three"], 2)
		require.GreaterOrEqual(t, count["many"], 2)
	}
	require.Equal(t, values, drawEvenly(values, itself, 0, 1))
	require.Equal(t, values, drawEvenly(values, itself, 100, 1))
	require.NotEqual(t, drawEvenly(make50(), itself, 10, 1), drawEvenly(make50(), itself, 10, 2))
}

// make50 returns fifty values of sources of their own.
func make50() []string {
	values := make([]string, 50)
	for i := range values {
		values[i] = string(rune('A' + i))
	}
	return values
}
