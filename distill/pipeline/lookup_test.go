package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// counting counts how often it is asked for an id.
type counting struct {
	retort.Corpus
	asked map[string]int
}

func (c counting) Index(id string) (int, bool) {
	c.asked[id]++
	return c.Corpus.Index(id)
}

func TestLookupAsksOnceForWhatItFinds(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "x"}, {ID: "b", Text: "y"}})
	require.NoError(t, err)
	inner := counting{corpus, map[string]int{}}
	l := withLookup(inner)
	for range 3 {
		index, ok := l.Index("b")
		require.True(t, ok)
		require.Equal(t, 1, index)
		_, ok = l.Index("c")
		require.False(t, ok)
	}
	require.Equal(t, map[string]int{"b": 1, "c": 3}, inner.asked)
	require.Same(t, l, withLookup(l))
	require.Same(t, corpus, withLookup(corpus), "a map already")
}
