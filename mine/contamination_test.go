package mine_test

import (
	"testing"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
)

func TestTestQueriesDropsEqualTexts(t *testing.T) {
	test := queriesOf("How do I read a file?", "???")
	for _, c := range []struct {
		text    string
		dropped bool
	}{
		{"How do I read a file?", true},
		{"how do i   READ a file", true},
		{"how do I read a file line by line?", false},
		{"read a file", false},
		{"a file, how do I read?", false},
		{" ??? ", true},
		{"!", false},
	} {
		t.Run(c.text, func(t *testing.T) {
			s := mine.TestQueries(queriesOf(c.text), test)
			if c.dropped {
				require.Equal(t, mine.Selection{Dropped: []mine.Drop{{Index: 0, Reason: mine.ReasonTestQuery, Of: -1}}}, s)
			} else {
				require.Equal(t, mine.Selection{Kept: []int{0}}, s)
			}
		})
	}
	require.Equal(t, []int{0}, mine.TestQueries(queriesOf("?"), nil).Kept)
}

func TestTestSourcesDropsQueriesOfPassagesOfTheTest(t *testing.T) {
	queries := []retort.Query{{ID: "0", Source: "a"}, {ID: "1", Source: "b"}, {ID: "2"}}
	s := mine.TestSources(queries, map[string]bool{"b": true, "a": false, "": true})
	require.Equal(t, []int{0, 2}, s.Kept)
	require.Equal(t, []mine.Drop{{Index: 1, Reason: mine.ReasonTestSource, Of: -1}}, s.Dropped)
}
