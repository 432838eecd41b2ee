package encodernet

import "github.com/retort-ir/retort/internal/torch"

// GraphBytes estimates the bytes that LibTorch keeps for the backward pass of texts padded to width tokens, in
// training (see Batch.ForTraining). With hidden size h, feed-forward width f, and the bytes of an element in products
// (size) and in attention (attention), a token costs in each layer
//
//	4 (2 h) bytes              the sums before the two normalisations
//	size (2 h + 2 f) bytes     the inputs of both halves, the feed-forward output before and after the activation
//	attention (4 h) bytes      queries, keys, values and the mixed values
//	size (h) bytes             the mixed values once more, where attention is computed in another type than products
//
// and a few numbers per head and normalisation. The estimate leaves out the attention matrix, which LibTorch's fused
// kernels recompute, and the weights' copies in bfloat16, which all graphs share. A last layer that computes one token
// keeps less.
func (c Config) GraphBytes(texts, width int, precision torch.Type, onCPU bool) int64 {
	h, f, heads := int64(c.HiddenSize), int64(c.IntermediateSize), int64(c.Heads)
	kind := trainingAttention(precision, onCPU)
	size, attention := bytesOf(precision), bytesOf(kind)
	token := 4*2*h + size*(2*h+2*f) + attention*4*h + 4*(heads+4)
	if kind != precision {
		token += size * h
	}
	const embeddings = 2 // the sums before the first normalisation, and the last layer's result
	return int64(texts) * int64(width) * (4*embeddings*h + int64(c.Layers)*token)
}

func bytesOf(kind torch.Type) int64 {
	if kind == torch.BFloat16 {
		return 2
	}
	return 4
}
