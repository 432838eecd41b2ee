package mine_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
)

func TestTooShortCountsCharacters(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "a", Text: "123456789"},
		{ID: "b", Text: "1234567890"},
		{ID: "c", Text: "   123456789   "},
		{ID: "d", Title: "1234", Text: "56789"}, // joined by a space
		{ID: "e", Text: "ééééééééé"},            // nine characters in eighteen bytes
		{ID: "f"},
	})
	require.NoError(t, err)
	s, err := mine.TooShort(context.Background(), corpus, 10)
	require.NoError(t, err)
	require.Equal(t, []int{1, 3}, s.Kept)
	require.Equal(t, map[mine.Reason]int{mine.ReasonTooShort: 4}, s.Counts())
	require.Equal(t, mine.Drop{Index: 0, Reason: mine.ReasonTooShort, Of: -1}, s.Dropped[0])
	passages, err := s.Passages(corpus)
	require.NoError(t, err)
	require.Equal(t, "b", passages[0].ID)
	require.Equal(t, "d", passages[1].ID)
}

func TestCutLeavesSoManyCharactersOfTheContent(t *testing.T) {
	for _, c := range []struct {
		name, title, text string
		n                 int
		want              string
	}{
		{"short enough", "ab", "cde", 6, "ab cde"},
		{"text is cut", "ab", "cdefgh", 6, "ab cde"},
		{"no title", "", "abcdef", 4, "abcd"},
		{"spaces around do not count", " ab ", "  cdefgh ", 6, "ab cde"},
		{"no room for the text", "abcd", "ef", 5, "abcd"},
		{"title is cut", "abcdef", "g", 4, "abcd"},
		{"characters stay whole", "é", "ééé", 3, "é é"},
		{"nothing is left", "ab", "c", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mine.Cut(retort.Passage{ID: "x", Title: c.title, Text: c.text}, c.n)
			require.Equal(t, c.want, p.Content())
			require.Equal(t, "x", p.ID)
		})
	}
}

func FuzzCut(f *testing.F) {
	f.Add("title", "text", 3)
	f.Add(" ", "\xff\xfeabc", 2)
	f.Add("0  0", "0", 3)
	f.Fuzz(func(t *testing.T, title, text string, n int) {
		p := retort.Passage{ID: "x", Title: title, Text: text}
		cut := mine.Cut(p, n).Content()
		require.LessOrEqual(t, utf8.RuneCountInString(cut), max(n, 0))
		require.True(t, strings.HasPrefix(p.Content(), cut), "%q of %q", cut, p.Content())
	})
}

func TestNearDuplicates(t *testing.T) {
	for _, c := range []struct {
		name  string
		texts []string
		drops map[int]int // dropped passage to the one that holds it
	}{
		{"nothing in common", []string{"red wine", "blue sky"}, nil},
		{"equal: the first stays", []string{"a b c", "x", "a b c"}, map[int]int{2: 0}},
		{"case, punctuation and space", []string{"Hello,  World!", "hello world"}, map[int]int{1: 0}},
		{"beginning", []string{"the wing of", "the wing of the aircraft"}, map[int]int{0: 1}},
		{"end", []string{"lift and drag of the wing", "of the wing"}, map[int]int{1: 0}},
		{"part of a word is no part", []string{"the win", "the wing"}, nil},
		{"end of a word is no end", []string{"craft", "aircraft"}, nil},
		{"chains name what stays", []string{"a", "a b", "a b c"}, map[int]int{0: 2, 1: 2}},
		{"beginning of one, end of another", []string{"b c", "b c d", "a b c"}, map[int]int{0: 2}},
		{"no words are kept", []string{"...", "?!", "..."}, nil},
		{"other scripts", []string{"中文字", "中文字。", "ЖУК", "жук"}, map[int]int{1: 0, 3: 2}},
		{"none", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := mine.NearDuplicates(context.Background(), corpusOf(t, c.texts...))
			require.NoError(t, err)
			require.Len(t, s.Dropped, len(c.drops))
			require.Len(t, s.Kept, len(c.texts)-len(c.drops))
			for _, d := range s.Dropped {
				require.Equal(t, mine.ReasonNearDuplicate, d.Reason)
				require.Contains(t, c.drops, d.Index)
				require.Equal(t, c.drops[d.Index], d.Of)
			}
		})
	}
}

func TestNearDuplicatesFindsEveryCopy(t *testing.T) {
	texts := make([]string, 100)
	for i := range texts {
		texts[i] = "the same text"
	}
	s, err := mine.NearDuplicates(context.Background(), corpusOf(t, texts...))
	require.NoError(t, err)
	require.Equal(t, []int{0}, s.Kept)
}

// In both orders all the texts between stand between the two, and neither shares a word with them.
func TestNearDuplicatesLooksAtNineNeighbours(t *testing.T) {
	for between, kept := range map[int]int{8: 9, 9: 11} {
		texts := []string{"b", "a b z"}
		for i := range between {
			texts = append(texts, "a"+string(rune('c'+i)))
		}
		s, err := mine.NearDuplicates(context.Background(), corpusOf(t, texts...))
		require.NoError(t, err)
		require.Len(t, s.Kept, kept, "with %d between", between)
	}
}

func TestCleanAppliesEveryFilter(t *testing.T) {
	long := strings.Repeat("abcdefghi ", 300)
	corpus := corpusOf(t, "short", "a passage of some length", long+"one", "A passage of some length!", long+"two",
		"a passage of some length, and more")
	cleaned, s, err := mine.Clean(context.Background(), corpus, mine.DefaultCleanOptions())
	require.NoError(t, err)
	require.Equal(t, []int{2, 5}, s.Kept, "the long ones are equal once they are cut")
	require.Equal(t, []mine.Drop{
		{Index: 0, Reason: mine.ReasonTooShort, Of: -1},
		{Index: 1, Reason: mine.ReasonNearDuplicate, Of: 5},
		{Index: 3, Reason: mine.ReasonNearDuplicate, Of: 5},
		{Index: 4, Reason: mine.ReasonNearDuplicate, Of: 2},
	}, s.Dropped)
	require.Equal(t, 2, cleaned.Len())
	p, err := cleaned.At(0)
	require.NoError(t, err)
	require.Equal(t, "p2", p.ID)
	require.Len(t, p.Text, 2048)
	whole, err := corpus.At(2)
	require.NoError(t, err)
	require.Len(t, whole.Text, 3003, "the corpus given is as it was")
}

func TestCleanOfZeroOptionsDropsOnlyDuplicates(t *testing.T) {
	cleaned, s, err := mine.Clean(context.Background(), corpusOf(t, "a", "b", "a", ""), mine.CleanOptions{})
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 3}, s.Kept)
	require.Equal(t, 3, cleaned.Len())
}

func TestCleanBadInputIsAnError(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name    string
		options mine.CleanOptions
		says    string
	}{
		{"negative", mine.CleanOptions{MinChars: -1}, "at least 0"},
		{"cut below the shortest", mine.CleanOptions{MinChars: 10, MaxChars: 5}, "MaxChars is 5, below MinChars 10"},
		{"nothing left", mine.CleanOptions{MinChars: 1000}, "no passage is left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := mine.Clean(ctx, corpusOf(t, "some text"), c.options)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, _, err := mine.Clean(cancelled(), corpusOf(t, "some text"), mine.CleanOptions{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = mine.NearDuplicates(cancelled(), corpusOf(t, "some text"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = mine.TooShort(ctx, brokenCorpus{corpusOf(t, "some text")}, 1)
	require.ErrorIs(t, err, errUnreadable)
}

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
	require.Equal(t, map[mine.Reason]int{mine.ReasonNotInTopK: 2}, s.Counts())
	require.Equal(t, "asked by a person", s.Queries(queries)[2].Text)
}

func TestRoundTripBadInputIsAnError(t *testing.T) {
	corpus := corpusOf(t, "a")
	lost := []retort.Query{{ID: "q", Text: "x", Source: "gone"}}
	_, err := mine.RoundTrip(corpus, lost, [][]mine.Hit{{}}, 20)
	require.ErrorContains(t, err, `query "q": its source "gone" is not in the corpus`)
	_, err = mine.RoundTrip(corpus, lost, nil, 20)
	require.ErrorContains(t, err, "1 queries and 0 rankings")
	_, err = mine.RoundTrip(corpus, nil, nil, 0)
	require.ErrorContains(t, err, "k is 0")
}
