package mine_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

func TestQueryLengthCountsWords(t *testing.T) {
	queries := queriesOf("one", "one two", " one\ttwo  three ", "one two three four", "")
	for i := range queries {
		queries[i].Source = "p"
	}
	s, err := mine.QueryLength(queries, 2, 3)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, s.Kept)
	require.Equal(t, map[mine.Reason]int{"too few words": 2, "too many words": 1}, s.Counts())

	s, err = mine.QueryLength(queries, 2, 0)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, s.Kept, "0 is no limit")
	s, err = mine.QueryLength(queriesOf("asked by a person"), 5, 9)
	require.NoError(t, err)
	require.Equal(t, []int{0}, s.Kept)
	unspaced := queriesOf("水垢", "怎样清除水垢", "怎样 清除 X20 的水垢", "怎样清除水壶底部的水垢", "ล้างกาน้ำ")
	for i := range unspaced {
		unspaced[i].Source = "p"
	}
	s, err = mine.QueryLength(unspaced, 3, 5)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 4}, s.Kept, "two characters of Chinese are a word, four of Thai")
	for _, limits := range [][2]int{{-1, 2}, {0, -1}, {3, 2}} {
		_, err = mine.QueryLength(queries, limits[0], limits[1])
		require.ErrorContains(t, err, "want 0 <= least <= most")
	}
}

func TestNearDuplicateQueries(t *testing.T) {
	for _, c := range []struct {
		name    string
		overlap float64
		texts   []string
		drops   map[int]int // dropped query to the one that it repeats
	}{
		{"the same", 1, []string{"read a file", "write a file", "read a file"}, map[int]int{2: 0}},
		{"case, punctuation, order and repeats", 1, []string{"Read a file!", "file: a, a READ"}, map[int]int{1: 0}},
		{"one word of five more", .8, []string{"read a file line by", "how read a file line by"}, map[int]int{1: 0}}, // 5/6
		{"four of five words", .8, []string{"a b c d", "a b c d e"}, map[int]int{1: 0}},
		{"three of five words", .8, []string{"a b c d", "a b c e"}, nil},
		{"below the overlap", 1, []string{"a b c d", "a b c d e"}, nil},
		{"compared with what stays", .75, []string{"a b c", "a b c d", "a b c d e"}, map[int]int{1: 0}},
		{"the first that is near", .5, []string{"a b", "c d", "a b c d"}, map[int]int{2: 0}},
		{"no words", .5, []string{"?", "?", ""}, nil},
		{"other scripts", 1, []string{"Где жук?", "где жук"}, map[int]int{1: 0}},
		{"none", .5, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := mine.NearDuplicateQueries(context.Background(), queriesOf(c.texts...), c.overlap)
			require.NoError(t, err)
			require.Len(t, s.Kept, len(c.texts)-len(c.drops))
			require.Len(t, s.Dropped, len(c.drops))
			for _, d := range s.Dropped {
				require.Equal(t, mine.Drop{Index: d.Index, Reason: "near-duplicate", Of: c.drops[d.Index]}, d)
			}
		})
	}
}

// The search by rarest words finds what comparing all with all finds.
func TestNearDuplicateQueriesMissesNone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, overlap := range []float64{.1, .3, .5, .6, .8, .9, 1} {
		texts := make([]string, 300)
		for i := range texts {
			for range 1 + r.IntN(9) {
				texts[i] += " w" + strconv.Itoa(int(math.Exp(r.Float64()*3)))
			}
		}
		s, err := mine.NearDuplicateQueries(context.Background(), queriesOf(texts...), overlap)
		require.NoError(t, err)
		var kept []int
		of := map[int]int{}
		for i := range texts {
			near := -1
			for _, j := range kept {
				if jaccard(texts[i], texts[j]) >= overlap {
					near = j
					break
				}
			}
			if near < 0 {
				kept = append(kept, i)
			} else {
				of[i] = near
			}
		}
		require.Equal(t, kept, s.Kept, "overlap %v", overlap)
		require.NotEmpty(t, s.Dropped)
		for _, d := range s.Dropped {
			require.Equal(t, of[d.Index], d.Of)
		}
	}
}

func jaccard(a, b string) float64 {
	in := map[string]int{}
	for _, w := range strings.Fields(a) {
		in[w] |= 1
	}
	for _, w := range strings.Fields(b) {
		in[w] |= 2
	}
	both := 0
	for _, sides := range in {
		if sides == 3 {
			both++
		}
	}
	return float64(both) / float64(len(in))
}

func TestNearDuplicateQueriesBadInputIsAnError(t *testing.T) {
	for _, overlap := range []float64{0, -1, 1.1, math.NaN()} {
		_, err := mine.NearDuplicateQueries(context.Background(), nil, overlap)
		require.ErrorContains(t, err, "must be above 0 and at most 1")
	}
	_, err := mine.NearDuplicateQueries(cancelled(), queriesOf("a"), 1)
	require.ErrorIs(t, err, context.Canceled)
}

func BenchmarkNearDuplicateQueries(b *testing.B) {
	var queries []retort.Query
	for _, text := range randomTexts(1, 20_000, 6) {
		queries = append(queries, retort.Query{Text: text})
	}
	for b.Loop() {
		if _, err := mine.NearDuplicateQueries(context.Background(), queries, .8); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNearDuplicateQueriesComparesPairsOfCharacters(t *testing.T) {
	queries := queriesOf("怎样清除水壶里的水垢", "怎样 清除水壶里的水垢？", "水垢的里壶水除清样怎", "怎样清除水壶里的污垢")
	s, err := mine.NearDuplicateQueries(t.Context(), queries, .8)
	require.NoError(t, err)
	require.Equal(t, []int{0, 2, 3}, s.Kept, "the third has the same characters, and other pairs")
	s, err = mine.NearDuplicateQueries(t.Context(), queries, .6)
	require.NoError(t, err)
	require.Equal(t, []int{0, 2}, s.Kept)
}
