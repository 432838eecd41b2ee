package encoder_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

// lengths are Inputs that know their texts' numbers of tokens only.
type lengths []int

func (l lengths) Len() int         { return len(l) }
func (l lengths) Tokens(i int) int { return l[i] }

func TestMicroBatchesAreCutByTheLongestText(t *testing.T) {
	in := lengths{3, 9, 3, 5, 2, 0}
	for _, test := range []struct {
		name   string
		rows   []int
		budget int
		want   [][]int
	}{
		{"no rows", nil, 10, nil},
		{"all fit: padding counts", []int{0, 1, 2, 3, 4}, 45, [][]int{{1, 3, 0, 2, 4}}},
		{"one token too few", []int{0, 1, 2, 3, 4}, 44, [][]int{{1, 3, 0, 2}, {4}}},
		{"a text above the budget stands alone", []int{0, 1, 2, 3, 4}, 6, [][]int{{1}, {3}, {0, 2}, {4}}},
		{"some rows only", []int{4, 0, 2}, 6, [][]int{{0, 2}, {4}}},
		{"a budget of nothing", []int{4, 0}, 0, [][]int{{0}, {4}}},
		{"texts without tokens cost nothing", []int{5, 4, 5}, 2, [][]int{{4}, {5, 5}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, encoder.MicroBatches(in, test.rows, test.budget))
		})
	}
}

func TestMicroBatchesHoldEveryRowOnceWithinTheBudget(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		in := make(lengths, 1+r.IntN(60))
		for i := range in {
			in[i] = 1 + r.IntN(40)
		}
		rows, budget := r.Perm(len(in))[:r.IntN(len(in)+1)], 1+r.IntN(300)
		before := slices.Clone(rows)
		batches := encoder.MicroBatches(in, rows, budget)
		require.Equal(t, before, rows, "the caller's rows")

		flat := slices.Concat(batches...)
		require.ElementsMatch(t, rows, flat)
		require.True(t, slices.IsSortedFunc(flat, func(a, b int) int {
			return cmp.Or(cmp.Compare(in[b], in[a]), cmp.Compare(a, b))
		}), flat)
		for i, b := range batches {
			require.NotEmpty(t, b)
			require.True(t, len(b) == 1 || len(b)*in[b[0]] <= budget, "%d x %d of %d", len(b), in[b[0]], budget)
			if i+1 < len(batches) {
				require.Greater(t, (len(b)+1)*in[b[0]], budget, "the next text would have fitted")
			}
		}
	}
}
