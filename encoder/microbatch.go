package encoder

import (
	"cmp"
	"slices"
)

// MicroBatches partitions the given rows of in into micro-batches, longest texts first. A computation that does not fit
// into memory then fails at the first batch, and later batches can reuse the memory of the first. A micro-batch is
// padded to its longest text, so its size is its number of rows times the tokens of its first row. The size is at most
// budget tokens unless the batch is a single text. Texts of equal length keep the order of their indices. rows is not
// changed, and no rows give no batches.
func MicroBatches(in Inputs, rows []int, budget int) [][]int {
	rest := slices.Clone(rows)
	slices.SortFunc(rest, func(a, b int) int {
		return cmp.Or(cmp.Compare(in.Tokens(b), in.Tokens(a)), cmp.Compare(a, b))
	})
	var batches [][]int
	for len(rest) > 0 {
		n := len(rest)
		if tokens := in.Tokens(rest[0]); tokens > 0 {
			n = min(n, max(1, budget/tokens))
		}
		batches = append(batches, rest[:n:n])
		rest = rest[n:]
	}
	return batches
}
