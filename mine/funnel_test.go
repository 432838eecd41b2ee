package mine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

func typedLists(types ...string) []retort.List {
	lists := make([]retort.List, len(types))
	for i, kind := range types {
		lists[i].Query = retort.Query{ID: strconv.Itoa(i), Text: "text", Type: kind}
	}
	return lists
}

func TestFunnelCountsByTypeAndPrintsATable(t *testing.T) {
	var f mine.Funnel
	lists := typedLists("question", "", "title", "question", "title")
	lists, err := f.Lists("list length", lists, mine.Selection{
		Kept: []int{0, 1, 3},
		Dropped: []mine.Drop{
			{Index: 2, Reason: "list too short", Of: -1},
			{Index: 4, Reason: "list too short", Of: -1},
		},
	})
	require.NoError(t, err)
	require.Len(t, lists, 3)
	lists, err = f.Lists("nothing to drop", lists, mine.Selection{Kept: []int{0, 1, 2}})
	require.NoError(t, err)
	lists, err = f.Lists("top score", lists, mine.Selection{
		Kept:    []int{1, 2},
		Dropped: []mine.Drop{{Index: 0, Reason: "top score below the percentile", Of: -1}},
	})
	require.NoError(t, err)
	require.Equal(t, "3", lists[1].Query.ID)

	require.Equal(t, mine.TypeCount{Kept: 2, Dropped: 1}, f.Filters[2].Total())
	require.Equal(t, []string{"", "question", "title"}, f.Types())
	var b strings.Builder
	require.NoError(t, f.Print(&b))
	require.Equal(t, `filter           own  question  title   all
list length      1    2         0 (-2)  3 (-2)
nothing to drop  1    2         0       3
top score        1    1 (-1)    0       2 (-1)
`, b.String())

	text, err := json.Marshal(f)
	require.NoError(t, err)
	require.JSONEq(t, `{"filters":[
		{"name":"list length","types":{"":{"kept":1,"dropped":0},"question":{"kept":2,"dropped":0},"title":{"kept":0,"dropped":2}},
		 "reasons":{"list too short":2}},
		{"name":"nothing to drop","types":{"":{"kept":1,"dropped":0},"question":{"kept":2,"dropped":0}}},
		{"name":"top score","types":{"":{"kept":1,"dropped":0},"question":{"kept":1,"dropped":1}},
		 "reasons":{"top score below the percentile":1}}]}`, string(text))
	var again mine.Funnel
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, f, again)
}

func TestFunnelRefusesASelectionOfSomethingElse(t *testing.T) {
	drop := func(i int) []mine.Drop { return []mine.Drop{{Index: i}} }
	for _, c := range []struct {
		name string
		s    mine.Selection
		says string
	}{
		{"too few", mine.Selection{Kept: []int{0}}, "keeps 1 and drops 0, but there are 2"},
		{"too many", mine.Selection{Kept: []int{0, 1}, Dropped: drop(2)}, "keeps 2 and drops 1, but there are 2"},
		{"twice", mine.Selection{Kept: []int{0, 0}}, "contains 0, which is out of range or a duplicate, for 2 elements"},
		{"kept and dropped", mine.Selection{Kept: []int{1}, Dropped: drop(1)}, "contains 1"},
		{"out of range", mine.Selection{Kept: []int{0}, Dropped: drop(2)}, "contains 2"},
		{"negative", mine.Selection{Kept: []int{-1, 0}}, "contains -1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f mine.Funnel
			_, err := f.Queries("filter", queriesOf("a", "b"), c.s)
			require.ErrorContains(t, err, "funnel: filter: the selection "+c.says)
			_, err = f.Lists("filter", typedLists("a", "b"), c.s)
			require.ErrorContains(t, err, c.says)
			require.Empty(t, f.Filters)
		})
	}
}

// Whatever lists go through whatever filters: what a filter keeps of a type is what the next one is given of it,
// reasons add up to what was dropped, and every selection names each list once, in order.
func TestFunnelAlwaysAddsUp(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 9))
		lists := randomLists(r)
		var f mine.Funnel
		given := countTypes(lists)
		for range 1 + r.IntN(8) {
			name, s, err := randomFilter(r, lists)
			require.NoError(t, err)
			requirePartition(t, s, len(lists))
			kept, err := f.Lists(name, lists, s)
			require.NoError(t, err)
			c := f.Filters[len(f.Filters)-1]
			sum := 0
			for _, n := range c.Reasons {
				sum += n
			}
			require.Equal(t, sum, c.Total().Dropped)
			require.Equal(t, len(lists), c.Total().Kept+c.Total().Dropped)
			require.Len(t, c.Types, len(given))
			after := countTypes(kept)
			for kind, n := range given {
				require.Equal(t, n, c.Types[kind].Kept+c.Types[kind].Dropped, "seed %d, %s, type %q", seed, name, kind)
				require.Equal(t, after[kind], c.Types[kind].Kept)
			}
			lists, given = kept, after
		}
	}
}

func requirePartition(t *testing.T, s mine.Selection, n int) {
	t.Helper()
	k, d := 0, 0
	for i := range n {
		switch {
		case k < len(s.Kept) && s.Kept[k] == i:
			k++
		case d < len(s.Dropped) && s.Dropped[d].Index == i:
			d++
		default:
			t.Fatalf("%d is neither kept nor dropped, or out of order", i)
		}
	}
	require.Equal(t, n, k+d)
	require.Len(t, s.Kept, k)
	require.Len(t, s.Dropped, d)
}

func randomLists(r *rand.Rand) []retort.List {
	lists := make([]retort.List, r.IntN(60))
	for i, text := range randomTexts(r.Uint64(), len(lists), 3) {
		l := scoredList(strconv.Itoa(i))
		l.Query.Text = text
		l.Query.Type = []string{"", "question", "title", "keywords"}[r.IntN(4)]
		l.Query.Source = []string{"", "a", "b", "z"}[r.IntN(4)]
		l.Query.Origin = []string{"llm", "extractive"}[r.IntN(2)]
		for j := range r.IntN(6) {
			l.IDs, l.Scores = append(l.IDs, string(rune('a'+j))), append(l.Scores, r.NormFloat64())
		}
		lists[i] = l
	}
	return lists
}

func randomFilter(r *rand.Rand, lists []retort.List) (name string, s mine.Selection, err error) {
	queries := make([]retort.Query, len(lists))
	for i, l := range lists {
		queries[i] = l.Query
	}
	switch r.IntN(7) {
	case 0:
		s, err = mine.SourceFirst(lists)
		return "source first", s, err
	case 1:
		s, err = mine.TopScore(lists, 100*r.Float64())
		return "top score", s, err
	case 2:
		s, err = mine.ListLength(lists, 1+r.IntN(4))
		return "list length", s, err
	case 3:
		s, err = mine.QueryLength(queries, r.IntN(4), 4+r.IntN(4))
		return "query length", s, err
	case 4:
		s, err = mine.NearDuplicateQueries(context.Background(), queries, 1-r.Float64())
		return "near-duplicates", s, err
	case 5:
		return "test queries", mine.TestQueries(queries, queries[:len(queries)/3]), nil
	default:
		return "test sources", mine.TestSources(queries, map[string]bool{"b": true}), nil
	}
}

func countTypes(lists []retort.List) map[string]int {
	counts := map[string]int{}
	for _, l := range lists {
		counts[l.Query.Type]++
	}
	return counts
}

// The filters of the paper over scored lists, with what each kept and dropped.
func ExampleFunnel() {
	list := func(kind, text, source string, ids []string, scores ...float64) retort.List {
		return retort.List{Query: retort.Query{ID: text, Text: text, Type: kind, Source: source}, IDs: ids, Scores: scores}
	}
	lists := []retort.List{
		list("question", "how is a file read", "os.ReadFile", []string{"os.ReadFile", "io.ReadAll"}, 9, 4),
		list("question", "what sorts ints", "sort.Ints", []string{"slices.Sort", "sort.Ints"}, 8, 7),
		list("keywords", "read all", "io.ReadAll", []string{"io.ReadAll", "os.ReadFile"}, 6, 5),
	}
	var funnel mine.Funnel
	first, err := mine.SourceFirst(lists)
	if err != nil {
		fmt.Println(err)
		return
	}
	if lists, err = funnel.Lists("source first", lists, first); err != nil {
		fmt.Println(err)
		return
	}
	cut, err := mine.TopScore(lists, 25)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err = funnel.Lists("top score", lists, cut); err != nil {
		fmt.Println(err)
		return
	}
	if err := funnel.Print(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// filter        keywords  question  all
	// source first  1         1 (-1)    2 (-1)
	// top score     1         1         2
}
