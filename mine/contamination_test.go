package mine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

func TestTestQueriesDropsCopiesAndNearCopies(t *testing.T) {
	test := queriesOf("How do I read a file?", "???", "Größe der Straße", "café au lait", "ﬁle – server’s log")
	for _, c := range []struct {
		name, text string
		want       mine.Reason // "": kept
	}{
		{"the same", "How do I read a file?", mine.ReasonTestQuery},
		{"spaces around it", "\tHow do I read a file? \n", mine.ReasonTestQuery},
		{"case, spaces and punctuation", "how do i   READ a file", mine.ReasonNearTestQuery},
		{"a space that does not break", "how do I\u00a0read a file", mine.ReasonNearTestQuery},
		{"full width", "ＨＯＷ　do I read a file？", mine.ReasonNearTestQuery},
		{"a soft hyphen and a mark of direction", "How do I re\u00adad a file\u200e?", mine.ReasonNearTestQuery},
		{"full case folding", "GRÖSSE DER STRASSE", mine.ReasonNearTestQuery},
		{"accents in two characters", "cafe\u0301 au lait", mine.ReasonNearTestQuery},
		{"a ligature, dashes and apostrophes", "File - Server's log", mine.ReasonNearTestQuery},
		{"no words", " ??? ", mine.ReasonTestQuery},
		{"other signs", "!", ""},
		{"more words", "how do I read a file line by line?", ""},
		{"fewer words", "read a file", ""},
		{"another order", "a file, how do I read?", ""},
		{"without accents", "cafe au lait", mine.ReasonNearTestQuery},
		{"variation selectors", "cafe\ufe0f\u0301 au lait", mine.ReasonNearTestQuery},
		{"no text", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mine.TestQueries(queriesOf(c.text), test)
			if c.want == "" {
				require.Equal(t, mine.Selection{Kept: []int{0}}, s)
			} else {
				require.Equal(t, mine.Selection{Dropped: []mine.Drop{{Index: 0, Reason: c.want, Of: -1}}}, s)
			}
		})
	}
	require.Equal(t, []int{0}, mine.TestQueries(queriesOf("?"), nil).Kept)
}

func TestTestSourcesDropsQueriesOfPassagesOfTheTest(t *testing.T) {
	queries := []retort.Query{{ID: "0", Source: "a"}, {ID: "1", Source: "b"}, {ID: "2"}}
	s := mine.TestSources(queries, map[string]bool{"b": true, "a": false, "": true})
	require.Equal(t, []int{0, 2}, s.Kept)
	require.Equal(t, []mine.Drop{{Index: 1, Reason: "source is relevant to a test query", Of: -1}}, s.Dropped)
}

func TestCopiesInScriptsWithoutSpacesAreFoundWhateverTheirSpaces(t *testing.T) {
	test := []retort.Query{{ID: "t1", Text: "怎样清除水垢？"}, {ID: "t2", Text: "ล้างกาน้ำ อย่างไร"}}
	s := mine.TestQueries(queriesOf("怎样 清除 水垢", "ล้างกาน้ำอย่างไร", "水垢怎样清除"), test)
	require.Equal(t, []int{2}, s.Kept)
	require.Equal(t, map[mine.Reason]int{mine.ReasonNearTestQuery: 2}, s.Counts())
}
