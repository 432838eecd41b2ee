package retort_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestContentJoinsTitleAndTextByOneSpace(t *testing.T) {
	for _, c := range []struct {
		title, text, want string
	}{
		{"", "", ""},
		{"title", "", "title"},
		{"", "text", "text"},
		{"title", "text", "title text"},
		{" title \n", "\t text ", "title text"},
		{" ", "text", "text"},
		{"title", "two  spaces\nand a line", "title two  spaces\nand a line"},
		{"\u00a0é\u3000", "日本", "é 日本"},
	} {
		require.Equal(t, c.want, retort.Passage{ID: "x", Title: c.title, Text: c.text}.Content())
	}
}

func TestNewCorpusRefusesEmptyAndRepeatedIDs(t *testing.T) {
	_, err := retort.NewCorpus([]retort.Passage{{ID: "a"}, {Text: "no id"}})
	require.EqualError(t, err, `passage 1: no "_id"`)

	_, err = retort.NewCorpus([]retort.Passage{{ID: "x"}, {ID: "a"}, {ID: "b"}, {ID: "a"}})
	require.EqualError(t, err, `passage 3: id "a" is already used by passage 1`)
}

func TestCorpusAtAndIndex(t *testing.T) {
	passages := []retort.Passage{{ID: "b", Text: "1"}, {ID: "a", Text: "2"}, {ID: "B", Text: "3"}}
	c, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	require.Equal(t, 3, c.Len())
	for i, want := range passages {
		p, err := c.At(i)
		require.NoError(t, err)
		require.Equal(t, want, p)
		got, ok := c.Index(want.ID)
		require.True(t, ok)
		require.Equal(t, i, got)
	}
	_, ok := c.Index("missing")
	require.False(t, ok)
	for _, i := range []int{-1, 3} {
		_, err := c.At(i)
		require.ErrorContains(t, err, "the corpus has 3 passages")
	}
}

func TestZeroMemoryCorpusIsEmpty(t *testing.T) {
	var c retort.MemoryCorpus
	require.Zero(t, c.Len())
	_, ok := c.Index("a")
	require.False(t, ok)
	_, err := c.At(0)
	require.Error(t, err)
}
