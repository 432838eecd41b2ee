package distill

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestABadListIsAnErrorThatNamesItsQuery(t *testing.T) {
	for _, test := range []struct {
		want  string
		spoil func(*retort.List)
	}{
		{`passage "p9" is not in the corpus`, func(l *retort.List) { l.IDs[1] = "p9" }},
		{`passage "p0.0" occurs twice`, func(l *retort.List) { l.IDs[1] = l.IDs[0] }},
		{"the list has 1 passages, want at least 2", func(l *retort.List) { l.IDs, l.Scores = l.IDs[:1], l.Scores[:1] }},
		{"the list has 0 passages, want at least 2", func(l *retort.List) { l.IDs, l.Scores = nil, []float64{} }},
		{"no scores", func(l *retort.List) { l.Scores = nil }},
		{"6 passages, but 5 scores", func(l *retort.List) { l.Scores = l.Scores[:5] }},
		{`score is NaN for passage "p0.2"`, func(l *retort.List) { l.Scores[2] = math.NaN() }},
		{`score is -Inf for passage "p0.3"`, func(l *retort.List) { l.Scores[3] = math.Inf(-1) }},
		{"weight is -1", func(l *retort.List) { l.Weight = -1 }},
		{"weight is NaN", func(l *retort.List) { l.Weight = math.NaN() }},
		{"no text", func(l *retort.List) { l.Query.Text = "" }},
		{"another list has the same query id", func(l *retort.List) { l.Query.ID = "q0.1" }},
	} {
		corpus, lists := world(t)
		test.spoil(&lists[0])
		if lists[0].Query.ID == "q0.1" {
			lists[0], lists[1] = lists[1], lists[0]
		}
		_, err := newDataset(corpus, lists, nil, false)
		require.ErrorContains(t, err, test.want)
		if lists[0].Query.ID != "" {
			require.ErrorContains(t, err, `query "q0.`)
		}
	}
}

func TestAQueryWithoutAnIDIsAnErrorThatNamesTheList(t *testing.T) {
	corpus, lists := world(t)
	lists[3].Query.ID = ""
	_, err := newDataset(corpus, lists, nil, false)
	require.ErrorContains(t, err, "list 3")
}

func TestAHeldOutListMustBeSoundToo(t *testing.T) {
	corpus, lists := world(t)
	lists[5].Scores = nil
	_, err := newDataset(corpus, lists[:5], lists[5:], false)
	require.ErrorContains(t, err, `"q1.2"`)
}

func TestSourceAndPositiveFollowTheOriginOfTheQuery(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}})
	require.NoError(t, err)
	list := func(id, source, origin string) retort.List {
		return retort.List{
			Query: retort.Query{ID: id, Text: "text", Source: source, Origin: origin},
			IDs:   []string{"a", "b", "c"}, Scores: []float64{0.2, 0.9, 0.9},
		}
	}
	data, err := newDataset(corpus, []retort.List{
		list("a person's", "", ""),
		list("an LLM's", "a", "some-llm"),
		list("extractive, source inside", "b", "extractive"),
		list("extractive, source outside", "d", "extractive/title seed=4"),
		list("extractive, but of nothing", "", "extractive"),
	}, nil, false)
	require.NoError(t, err)
	ids := func(numbers []int32) []string {
		var names []string
		for _, n := range numbers {
			p, err := corpus.At(data.passages[n])
			require.NoError(t, err)
			names = append(names, p.ID)
		}
		return names
	}
	for i, want := range []struct {
		list, positive, ignore []string
	}{
		{[]string{"a", "b", "c"}, []string{"b"}, nil},
		{[]string{"a", "b", "c"}, []string{"b"}, nil},
		{[]string{"a", "b", "c"}, nil, []string{"b"}}, // as the list says, but neither positive nor negative of InfoNCE
		{[]string{"a", "b", "c"}, nil, nil},           // nobody lists d
		{[]string{"a", "b", "c"}, []string{"b"}, nil},
	} {
		e := data.train[i]
		require.Equal(t, want.list, ids(e.list), e.id)
		require.Equal(t, want.ignore, ids(e.ignore), e.id)
		if want.positive == nil {
			require.Equal(t, int32(-1), e.positive, e.id)
		} else {
			require.Equal(t, want.positive, ids([]int32{e.positive}), e.id)
		}
	}
	require.Equal(t, []float64{0.2, 0.9, 0.9}, data.train[2].teacher)
	require.Len(t, data.passages, 3)
}

func TestSplitHoldsOutWholeSources(t *testing.T) {
	var lists []retort.List
	for i := range 200 {
		source := fmt.Sprint("p", i/4)
		if i >= 160 {
			source = "" // a person's
		}
		lists = append(lists, retort.List{Query: retort.Query{ID: fmt.Sprint("q", i), Source: source}})
	}
	train, dev, err := split(lists, 0.1)
	require.NoError(t, err)
	require.Len(t, lists, len(train)+len(dev))
	sources := map[string]bool{}
	groups := map[string]bool{}
	for _, l := range dev {
		sources[l.Query.Source] = true
		groups[group(l.Query)] = true
	}
	require.Len(t, groups, 8, "a tenth of 40 passages and 40 queries")
	for _, l := range train {
		require.False(t, l.Query.Source != "" && sources[l.Query.Source], "source %s on both sides", l.Query.Source)
	}

	backwards := slices.Clone(lists)
	slices.Reverse(backwards)
	_, again, err := split(backwards, 0.1)
	require.NoError(t, err)
	slices.Reverse(again)
	require.Equal(t, dev, again, "the order of the lists does not matter")
}

func TestSplitOfTooFewListsSaysWhatToDo(t *testing.T) {
	_, lists := world(t)
	_, _, err := split(lists[:1], 0.1)
	require.ErrorContains(t, err, "DevFraction to 0")
	train, dev, err := split(lists[:1], 0)
	require.NoError(t, err)
	require.Len(t, train, 1)
	require.Empty(t, dev)
	train, dev, err = split(lists[:4], 0.1)
	require.NoError(t, err)
	require.Len(t, dev, 1)
	require.Len(t, train, 3)
}
