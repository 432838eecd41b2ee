package encodernet

import "github.com/retort-ir/retort/internal/torch"

// GraphBytes estimates the bytes that LibTorch keeps for the backward pass of texts padded to width tokens, in
// training (see Batch.ForTraining). With hidden size h, heads of together a, feed-forward width f, and the bytes of an
// element in products (size) and in attention (attention), a token costs in each layer of BERT, where a = h,
//
//	4 (2 h) bytes              the sums before the two normalisations
//	size (2 h + 2 f) bytes     the inputs of both halves, the feed-forward output before and after the activation
//	attention (4 a) bytes      queries, keys, values and the mixed values
//	size (a) bytes             the mixed values once more, where attention is computed in another type than products
//
// and a few numbers per head and normalisation. Other architectures add
//
//	size (2 f) bytes           the gate before its product with the other half, and that half
//	4 (2 a) bytes              queries and keys of packed rotary layers before they turn, since values share their memory
//	4 (2 h) bytes              the sums again, scaled, of the two root mean square normalisations
//	4 (2 (a + kv)) bytes       the inputs of the normalisations of queries and keys, kv wide, twice likewise
//	attention (width heads + 5 a)  the weights of attention under a bias by distance, and the copies for its products
//
// The estimate leaves out any other attention matrix, which LibTorch's fused kernels recompute, and the weights' copies
// in bfloat16, which all graphs share. A last layer that computes one token keeps less.
func (c Config) GraphBytes(texts, width int, precision torch.Type, onCPU bool) int64 {
	h, f, heads := int64(c.HiddenSize), int64(c.IntermediateSize), int64(c.Heads)
	a, kv := heads*int64(c.headSize()), int64(c.kvHeads()*c.headSize())
	names := c.Family().names
	kind := trainingAttention(precision, onCPU)
	size, attention := bytesOf(precision), bytesOf(kind)
	token := 4*2*h + size*(2*h+2*f) + attention*4*a + 4*(heads+4)
	if kind != precision {
		token += size * a
	}
	if names.up == "" || names.gate != "" {
		token += size * 2 * f
	}
	if c.Rotary.Theta > 0 && names.qkv != "" {
		token += 4 * 2 * a
	}
	if c.Norm == RMSNorm {
		token += 4 * 2 * h
	}
	if names.queryNorm != "" {
		token += 4 * 2 * (a + kv)
	}
	if c.RelativeBuckets > 0 {
		token += attention * (heads*int64(width) + 5*a)
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
