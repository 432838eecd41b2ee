package mine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func ranking(n int) []Hit {
	hits := make([]Hit, n)
	for i := range hits {
		hits[i] = Hit{Index: 100 + i, Score: float32(n - i)}
	}
	return hits
}

func TestHardNegativesLieBetweenTheRanksAndAreNoPositives(t *testing.T) {
	hits := ranking(50)
	positive := func(index int) bool { return index == 100 || index == 103 }
	seen := map[int]int{}
	for i := range 200 {
		q := retort.Query{ID: fmt.Sprint("q", i)}
		drawn := HardNegatives{From: 2, To: 10, Count: 4}.Draw(q, hits, positive)
		require.Len(t, drawn, 4)
		for k, h := range drawn {
			seen[h.Index]++
			if k > 0 {
				require.Greater(t, h.Index, drawn[k-1].Index, "the ranking's order, none twice")
			}
		}
	}
	// Without the positives 100 and 103, rank 1 is 101, rank 2 is 102, rank 10 is 111.
	require.Len(t, seen, 9)
	for index := range seen {
		require.True(t, index == 102 || index >= 104 && index <= 111, "%d", index)
	}
}

func TestHardNegativesOfAQueryDependOnItsIDAndTheSeedAlone(t *testing.T) {
	hits, none := ranking(60), func(int) bool { return false }
	a := HardNegatives{Seed: 1}.Draw(retort.Query{ID: "a"}, hits, none)
	require.Len(t, a, 7)
	require.Equal(t, a, HardNegatives{Seed: 1}.Draw(retort.Query{ID: "a", Text: "another"}, hits, none))
	require.NotEqual(t, a, HardNegatives{Seed: 2}.Draw(retort.Query{ID: "a"}, hits, none))
	require.NotEqual(t, a, HardNegatives{Seed: 1}.Draw(retort.Query{ID: "b"}, hits, none))
}

func TestHardNegativesOfAShortRankingAreFewer(t *testing.T) {
	drawn := HardNegatives{}.Draw(retort.Query{ID: "a"}, ranking(4), func(i int) bool { return i == 101 })
	require.Equal(t, []Hit{{102, 2}, {103, 1}}, drawn)
	require.Empty(t, HardNegatives{}.Draw(retort.Query{ID: "a"}, nil, func(int) bool { return false }))
}

func TestHardNegativesNameTheFieldThatIsWrong(t *testing.T) {
	require.NoError(t, HardNegatives{}.Validate())
	require.ErrorContains(t, HardNegatives{From: -1}.Validate(), "HardNegatives.From is -1")
	require.ErrorContains(t, HardNegatives{From: 9, To: 3}.Validate(), "HardNegatives.To is 3")
	require.ErrorContains(t, HardNegatives{Count: -2}.Validate(), "HardNegatives.Count is -2")
	require.Empty(t, HardNegatives{Count: -2}.Draw(retort.Query{}, ranking(9), func(int) bool { return false }))
}
