package mine_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// scoredList returns a list of passages a, b, c, ... with those scores.
func scoredList(id string, scores ...float64) retort.List {
	l := retort.List{Query: retort.Query{ID: id, Text: id}, IDs: []string{}, Scores: []float64{}}
	for i, s := range scores {
		l.IDs = append(l.IDs, string(rune('a'+i)))
		l.Scores = append(l.Scores, s)
	}
	return l
}

func TestSourceFirstKeepsWhatTheTeacherPutsFirst(t *testing.T) {
	for _, c := range []struct {
		name           string
		source, origin string
		scores         []float64
		kept           bool
	}{
		{"first", "a", "llm", []float64{2, 1}, true},
		{"first by score, not by place", "b", "llm", []float64{1, 2}, true},
		{"second", "a", "llm", []float64{1, 2}, false},
		{"ties with another", "a", "llm", []float64{2, 2}, true},
		{"not in the list", "z", "llm", []float64{2, 1}, false},
		{"extractive, taken out of the list", "z", "extractive", []float64{2, 1}, true},
		{"extractive, in the list and second", "b", "extractive", []float64{2, 1}, false},
		{"asked by a person", "", "", []float64{1, 2}, true},
		{"empty list", "a", "llm", nil, false},
		{"negative scores", "a", "llm", []float64{-1, -2}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := scoredList("q", c.scores...)
			l.Query.Source, l.Query.Origin = c.source, c.origin
			s, err := mine.SourceFirst([]retort.List{l})
			require.NoError(t, err)
			if c.kept {
				require.Equal(t, mine.Selection{Kept: []int{0}}, s)
			} else {
				require.Equal(t, mine.Selection{Dropped: []mine.Drop{{Index: 0, Reason: "source not the teacher's first", Of: -1}}},
					s)
			}
		})
	}
}

// numpy.percentile([1, 2, 3, 4, 5, 6, 7, 8], 25) is 2.75, of [-1, -2, -3, -4] it is -3.25.
func TestTopScoreCutsEachTypeAtItsOwnPercentile(t *testing.T) {
	lists := []retort.List{
		scoredList("q0", 1, 2), scoredList("q1", 8, 3, 4), scoredList("q2", 7, 5, 6),
		scoredList("q3", -4), scoredList("q4", -1, -2, -3),
		scoredList("q5"),
	}
	for i := range lists {
		lists[i].Query.Type = []string{"question", "question", "question", "title", "title", "claim"}[i]
	}
	s, err := mine.TopScore(lists, 25)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 4}, s.Kept)
	require.Equal(t, map[mine.Reason]int{"top score below the percentile": 3}, s.Counts())

	s, err = mine.TopScore(lists, 0)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 3, 4}, s.Kept, "only the empty list has no top score")
	s, err = mine.TopScore(lists, 100)
	require.NoError(t, err)
	require.Equal(t, []int{1, 4}, s.Kept, "the best of each type reaches its own score")
	require.Equal(t, []float64{8, 3, 4}, lists[1].Scores, "the lists given are as they were")
}

func TestTopScoreKeepsAListThatReachesThePercentileExactly(t *testing.T) {
	lists := []retort.List{scoredList("q0", 1), scoredList("q1", 2), scoredList("q2", 3)}
	s, err := mine.TopScore(lists, 50)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, s.Kept)
}

func TestListLengthNeedsNoScores(t *testing.T) {
	lists := []retort.List{{IDs: []string{"a"}}, {IDs: []string{"a", "b"}}, {}}
	s, err := mine.ListLength(lists, 2)
	require.NoError(t, err)
	require.Equal(t, []int{1}, s.Kept)
	require.Equal(t, map[mine.Reason]int{"list too short": 2}, s.Counts())
	require.Equal(t, lists[1:2], s.Lists(lists))
}

func TestListFiltersBadInputIsAnError(t *testing.T) {
	unscored := retort.List{Query: retort.Query{ID: "u"}, IDs: []string{"a"}}
	short := scoredList("s", 1, 2)
	short.Scores = short.Scores[:1]
	for _, c := range []struct {
		name string
		list retort.List
		says string
	}{
		{"no scores", unscored, `list of query "u" has no scores; score it with a teacher first`},
		{"fewer scores", short, `list of query "s" has 2 passages, but 1 scores`},
		{"NaN", scoredList("n", 1, math.NaN()), `list of query "n" has score NaN for passage "b"`},
		{"infinite", scoredList("n", math.Inf(1)), `score +Inf for passage "a"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mine.SourceFirst([]retort.List{c.list})
			require.ErrorContains(t, err, c.says)
			_, err = mine.TopScore([]retort.List{c.list}, 25)
			require.ErrorContains(t, err, c.says)
		})
	}
	for _, p := range []float64{-1, 101, math.NaN()} {
		_, err := mine.TopScore(nil, p)
		require.ErrorContains(t, err, "must be in [0,100]")
	}
	_, err := mine.ListLength(nil, 0)
	require.ErrorContains(t, err, "the least is 0")
}

func TestTeachersAgreeDropsTheListsOnWhichTheyDoNot(t *testing.T) {
	lists := []retort.List{scoredList("a", 1), scoredList("b", 2), scoredList("c", 3)}
	s, err := mine.TeachersAgree(lists, []float64{.4, .5, .9}, .5)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, s.Kept)
	require.Equal(t, map[mine.Reason]int{"the teachers disagree": 1}, s.Counts())
	var funnel mine.Funnel
	kept, err := funnel.Lists("agreement", lists, s)
	require.NoError(t, err)
	require.Len(t, kept, 2)
	require.Equal(t, 1, funnel.Filters[0].Total().Dropped)
	for _, c := range []struct {
		agreement []float64
		least     float64
		want      string
	}{
		{[]float64{1, 1}, .5, "2 agreements for 3 lists"},
		{[]float64{1, 1, 1}, 1.5, "the least is 1.5"},
		{[]float64{1, math.NaN(), 1}, .5, `list of query "b" has agreement NaN`},
		{[]float64{1, 2, 1}, .5, `list of query "b" has agreement 2`},
	} {
		_, err := mine.TeachersAgree(lists, c.agreement, c.least)
		require.ErrorContains(t, err, c.want)
	}
}

// Package mine does not import generate, so it knows an extractive query by itself.
func TestSourceFirstKnowsExtractiveQueriesAsGenerateDoes(t *testing.T) {
	for _, origin := range []string{"", "extractive", "extractive/2", "llm extractive", "Extractive"} {
		for _, source := range []string{"", "taken out"} {
			l := scoredList("q", 1)
			l.Query.Source, l.Query.Origin = source, origin
			s, err := mine.SourceFirst([]retort.List{l})
			require.NoError(t, err)
			require.Equal(t, source == "" || l.Query.Extractive(), len(s.Kept) == 1, "origin %q, source %q", origin, source)
		}
	}
}
