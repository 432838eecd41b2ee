package bertnet

import "github.com/retort-ir/retort/internal/torch"

// GraphBytes estimates what LibTorch keeps for the backward pass of texts padded to width tokens. With h the hidden size
// and f the width between the feed-forward matrices, a token costs, in each layer,
//
//	4 (4 h) bytes              the sums before the two normalisations, and what comes out of them
//	size (5 h + 2 f) bytes     queries, keys and values, the mixed values before and after their heads are joined,
//	                           the feed-forward matrices' output before and after the activation
//
// where size is 4 in float32 and 2 in bfloat16, which also keeps the inputs of both halves (2 h) and a copy of each
// layer's weights in its own type. Attention is counted without its matrix of tokens by tokens: LibTorch's fused kernels
// compute that anew.
func (c Config) GraphBytes(texts, width int, precision torch.Type) int64 {
	h, f, heads := int64(c.HiddenSize), int64(c.IntermediateSize), int64(c.Heads)
	tokens := int64(texts) * int64(width)
	size, halves, weights := int64(4), int64(0), int64(0)
	if precision != torch.Float32 {
		size, halves = 2, 2*h
		weights = 4*h*h + 2*h*f + 5*h + f
	}
	layer := tokens*(4*4*h+4*(heads+4)+size*(5*h+2*f+halves)) + size*weights
	const embeddings = 3 // the sums before the first normalisation, and what comes out of it
	return tokens*4*embeddings*h + int64(c.Layers)*layer
}
