package encoder

import (
	"cmp"
	"slices"
)

// MicroBatches puts the given rows of in into micro-batches, each row into one, longest first: a computation that does not
// fit into memory then fails at once, and what the first batch took serves the others. A micro-batch is padded to its
// longest text, so it costs rows times the tokens of the first; that is at most budget unless the batch is a single text.
// Equally long texts are in the order of their numbers. rows is not changed, and no rows give no batches.
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
