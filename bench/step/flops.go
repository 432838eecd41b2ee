package main

import "github.com/retort-ir/retort/internal/encodernet"

// flops counts the floating point operations of a step, a multiplication and an addition as two. A text of n tokens
// through a layer of width h, with f between its feed-forward matrices, whose matrices hold P = 4 h² + 2 h f weights,
// takes
//
//	forward   2 P n + 4 n² h     each weight once a token; queries by keys, and the mixing of values
//	backward  twice that         the gradients of both operands of each product
//
// so 6 P + 12 n h a token and layer, and where its graph was not kept once more the forward. What LibTorch's attention
// computes anew in its backward is not counted, nor are padding, embeddings, normalisations, activations and AdamW:
// that is time, but no use. The loss adds the similarities and the products with their gradient, 6 queries x distinct
// passages x h.
func flops(c encodernet.Config, lengths []int, queries, passages int) float64 {
	h, f := float64(c.HiddenSize), float64(c.IntermediateSize)
	var forward float64
	for _, length := range lengths {
		n := float64(length)
		forward += float64(c.Layers) * (2*(4*h*h+2*h*f)*n + 4*n*n*h)
	}
	return 3*forward + 6*float64(queries)*float64(passages)*h
}
