package mine_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// ranked returns a corpus of n passages and a ranking of all: passage 0 first, with score n.
func ranked(t *testing.T, n int) (*retort.MemoryCorpus, []mine.Hit) {
	t.Helper()
	ranking := make([]mine.Hit, n)
	for i := range ranking {
		ranking[i] = hit(i, float32(n-i))
	}
	return corpusOf(t, make([]string, n)...), ranking
}

func TestListsTakeTheTopAndASampleOfTheNext(t *testing.T) {
	corpus, ranking := ranked(t, 200)
	q := retort.Query{ID: "q", Text: "x", Source: "p2"}
	seen := map[string]int{}
	for seed := range uint64(400) {
		o := mine.ListOptions{Top: 5, Sample: 3, Depth: 100}
		o.Seed = seed
		lists, err := mine.Lists(corpus, []retort.Query{q}, [][]mine.Hit{ranking}, o)
		require.NoError(t, err)
		ids := lists[0].IDs
		require.Len(t, ids, 8)
		require.Equal(t, []string{"p0", "p1", "p3", "p4", "p5"}, ids[:5], "the source is out, and ranks count without it")
		require.Equal(t, q, lists[0].Query)
		require.Nil(t, lists[0].Scores)
		last := 5
		for _, id := range ids[5:] {
			rank, err := strconv.Atoi(id[1:])
			require.NoError(t, err)
			require.Greater(t, rank, last, "in the ranking's order, none twice")
			require.LessOrEqual(t, rank, 100)
			last = rank
			seen[id]++
		}
	}
	require.Len(t, seen, 95, "each of the next 95 is drawn in 400 lists")
	for id, n := range seen {
		require.Less(t, n, 40, "%s: 12.6 are expected", id)
	}
}

func TestListsKeepSourceAndScoresWhereAsked(t *testing.T) {
	corpus, ranking := ranked(t, 10)
	q := retort.Query{ID: "q", Text: "x", Source: "p1"}
	o := mine.ListOptions{Top: 3, Depth: 3, KeepSource: true, WithScores: true}
	lists, err := mine.Lists(corpus, []retort.Query{q}, [][]mine.Hit{ranking}, o)
	require.NoError(t, err)
	require.Equal(t, []string{"p0", "p1", "p2"}, lists[0].IDs)
	require.Equal(t, []float64{10, 9, 8}, lists[0].Scores)
	o.KeepSource = false
	lists, err = mine.Lists(corpus, []retort.Query{q}, [][]mine.Hit{ranking}, o)
	require.NoError(t, err)
	require.Equal(t, []string{"p0", "p2", "p3"}, lists[0].IDs)
	require.Equal(t, []float64{10, 8, 7}, lists[0].Scores)
	require.Equal(t, 1, ranking[1].Index, "the ranking is as it was")
}

func TestListsOfShortRankingsAreShort(t *testing.T) {
	corpus, ranking := ranked(t, 10)
	o := mine.ListOptions{Top: 5, Sample: 3, Depth: 100}
	for n, want := range map[int]int{0: 0, 1: 1, 5: 5, 7: 7, 8: 8, 10: 8} {
		lists, err := mine.Lists(corpus, queriesOf("x"), [][]mine.Hit{ranking[:n]}, o)
		require.NoError(t, err)
		require.Len(t, lists[0].IDs, want)
	}
}

func TestListsAreDrawnForEachQueryByItself(t *testing.T) {
	corpus, ranking := ranked(t, 100)
	queries := queriesOf("a", "b", "c")
	rankings := [][]mine.Hit{ranking, ranking, ranking}
	o := mine.ListOptions{Sample: 10, Depth: 100, Seed: 7}
	all, err := mine.Lists(corpus, queries, rankings, o)
	require.NoError(t, err)
	require.NotEqual(t, all[0].IDs, all[1].IDs)
	slices.Reverse(queries)
	reversed, err := mine.Lists(corpus, queries[:2], rankings[:2], o)
	require.NoError(t, err)
	require.Equal(t, all[2], reversed[0])
	require.Equal(t, all[1], reversed[1])
	o.Seed++
	other, err := mine.Lists(corpus, queries, rankings, o)
	require.NoError(t, err)
	require.NotEqual(t, reversed[0].IDs, other[0].IDs)
}

func TestListsBadInputIsAnError(t *testing.T) {
	corpus, ranking := ranked(t, 3)
	ok := mine.ListOptions{Top: 5, Sample: 3, Depth: 100}
	q := queriesOf("x")
	for _, c := range []struct {
		name     string
		queries  []retort.Query
		rankings [][]mine.Hit
		options  mine.ListOptions
		says     string
	}{
		{"negative top", q, [][]mine.Hit{ranking}, mine.ListOptions{Top: -1}, "ListOptions.Top"},
		{"negative sample", q, [][]mine.Hit{ranking}, mine.ListOptions{Sample: -1}, "ListOptions.Sample"},
		{"empty lists", q, [][]mine.Hit{ranking}, mine.ListOptions{Depth: 5}, "lists would be empty"},
		{"too shallow", q, [][]mine.Hit{ranking}, mine.ListOptions{Top: 5, Sample: 3, Depth: 7}, "ListOptions.Depth is 7"},
		{"no ranking", q, nil, ok, "1 queries, but 0 rankings"},
		{
			"passage outside the corpus", q,
			[][]mine.Hit{{hit(3, 1)}},
			ok,
			`query "q0": passage index 3 is out of range: the corpus has 3 passages`,
		},
		{"passage twice", q, [][]mine.Hit{{hit(2, 1), hit(2, 1)}}, ok, `query "q0": passage 2 is ranked twice`},
		{
			"source unknown",
			[]retort.Query{{ID: "q", Source: "gone"}},
			[][]mine.Hit{ranking},
			ok,
			`its source "gone" is not in the corpus`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mine.Lists(corpus, c.queries, c.rankings, c.options)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestListsPutAKeptSourceInPlaceOfTheLast(t *testing.T) {
	corpus, ranking := ranked(t, 10)
	o := mine.ListOptions{Top: 3, Depth: 6, KeepSource: true}
	for _, c := range []struct {
		source string
		ids    []string
	}{
		{"p0", []string{"p0", "p1", "p2"}},
		{"p5", []string{"p0", "p1", "p5"}},
		{"p6", []string{"p0", "p1", "p2"}}, // below the depth
		{"", []string{"p0", "p1", "p2"}},
	} {
		lists, err := mine.Lists(corpus, []retort.Query{{ID: "q", Text: "x", Source: c.source}}, [][]mine.Hit{ranking}, o)
		require.NoError(t, err)
		require.Equal(t, c.ids, lists[0].IDs, c.source)
	}
	o.Top, o.Sample = 0, 1
	lists, err := mine.Lists(corpus, []retort.Query{{ID: "q", Text: "x", Source: "p4"}}, [][]mine.Hit{ranking}, o)
	require.NoError(t, err)
	require.Equal(t, []string{"p4"}, lists[0].IDs)
}
