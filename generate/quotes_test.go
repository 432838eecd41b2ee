package generate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
)

func TestWithoutQuotesRemovesWhatTheQueryIsTakenFrom(t *testing.T) {
	const text = "Coffee is drunk all over the world. Drinkers of three cups or more\nslept an hour less than others. " +
		"No effect on mood was seen."
	p := retort.Passage{ID: "p", Title: "Coffee and sleep", Text: text}
	const without = "Coffee is drunk all over the world. No effect on mood was seen."
	for name, c := range map[string]struct {
		query string
		want  retort.Passage
		ok    bool
	}{
		"a sentence, wrapped in the text":       {"drinkers of three cups or more slept an hour less than others", retort.Passage{ID: "p", Title: p.Title, Text: without}, true},
		"its first clause":                      {"Drinkers of three cups slept less", retort.Passage{ID: "p", Title: p.Title, Text: without}, true},
		"the title":                             {"coffee sleep", retort.Passage{ID: "p", Text: text}, true},
		"two words of a sentence":               {"three cups", p, false},
		"words from here and there":             {"coffee drinkers world mood hour effect", p, false},
		"other words":                           {"does caffeine keep people awake", p, false},
		"nothing":                               {"", p, false},
		"words that a regular expression reads": {"(", p, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := generate.WithoutQuotes(p, c.query)
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.want, got)
		})
	}
}

func TestWithoutQuotesLeavesAPassageThatIsTheQuery(t *testing.T) {
	p := retort.Passage{ID: "p", Title: "Tea", Text: "Tea is made of leaves."}
	got, ok := generate.WithoutQuotes(p, "tea is made of leaves")
	require.False(t, ok)
	require.Equal(t, p, got)
}

func TestHideQuotesReplacesTheSourceByACopy(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "tea", Text: "Tea is made of leaves. It is drunk hot."},
		{ID: "mate", Text: "Mate is made of leaves too."},
	})
	require.NoError(t, err)
	extractive := retort.Query{ID: "q1", Text: "tea is made of leaves", Source: "tea", Type: generate.TypeSentence, Origin: "extractive"}
	require.True(t, generate.IsExtractive(extractive))
	written := retort.Query{ID: "q2", Text: "tea is made of leaves", Source: "tea"}
	lists := []retort.List{{Query: extractive, IDs: []string{"mate", "tea"}}, {Query: written, IDs: []string{"tea", "mate"}}}

	all, hidden, copies, err := generate.HideQuotes(corpus, lists)
	require.NoError(t, err)
	require.Equal(t, []string{"tea, without query q1", ""}, copies)
	require.Equal(t, []string{"mate", "tea, without query q1"}, hidden[0].IDs)
	require.Equal(t, lists[1], hidden[1])
	require.Equal(t, []string{"mate", "tea"}, lists[0].IDs, "the caller's lists stay")

	require.Equal(t, 3, all.Len())
	i, ok := all.Index(copies[0])
	require.True(t, ok)
	require.Equal(t, 2, i)
	p, err := all.At(i)
	require.NoError(t, err)
	require.Equal(t, retort.Passage{ID: copies[0], Text: "It is drunk hot."}, retort.Passage{ID: p.ID, Text: p.Content()})
	p, err = all.At(0)
	require.NoError(t, err)
	require.Equal(t, "tea", p.ID)
	_, err = all.At(3)
	require.Error(t, err)

	_, _, _, err = generate.HideQuotes(corpus, []retort.List{lists[0], lists[0]})
	require.ErrorContains(t, err, `"q1"`)
}
