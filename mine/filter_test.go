package mine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

func TestRoundTripKeepsQueriesThatFindTheirSource(t *testing.T) {
	corpus := corpusOf(t, "a", "b", "c")
	queries := queriesOf("first", "second", "third", "asked by a person", "not found")
	for i, source := range []string{"p0", "p0", "p0", "", "p2"} {
		queries[i].Source = source
	}
	rankings := [][]mine.Hit{
		{hit(0, 3), hit(1, 2)},
		{hit(1, 3), hit(0, 2)},
		{hit(1, 3), hit(2, 2), hit(0, 1)},
		{},
		{},
	}
	s, err := mine.RoundTrip(corpus, queries, rankings, 2)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 3}, s.Kept)
	require.Equal(t, map[mine.Reason]int{"source not in the top k": 2}, s.Counts())
	require.Equal(t, "asked by a person", s.Queries(queries)[2].Text)
}

func TestRoundTripDoesNotCountTheQueryItself(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "what is it"}, {ID: "b", Text: "it is this"}})
	require.NoError(t, err)
	queries := []retort.Query{{ID: "a", Text: "what is it", Source: "b"}}
	s, err := mine.RoundTrip(corpus, queries, [][]mine.Hit{{{Index: 0, Score: 2}, {Index: 1, Score: 1}}}, 1)
	require.NoError(t, err)
	require.Equal(t, []int{0}, s.Kept)
}

func TestRoundTripBadInputIsAnError(t *testing.T) {
	corpus := corpusOf(t, "a")
	lost := []retort.Query{{ID: "q", Text: "x", Source: "gone"}}
	_, err := mine.RoundTrip(corpus, lost, [][]mine.Hit{{}}, 20)
	require.ErrorContains(t, err, `query "q": its source "gone" is not in the corpus`)
	_, err = mine.RoundTrip(corpus, lost, nil, 20)
	require.ErrorContains(t, err, "1 queries, but 0 rankings")
	_, err = mine.RoundTrip(corpus, nil, nil, 0)
	require.ErrorContains(t, err, "k is 0")
}
