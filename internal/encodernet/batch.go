package encodernet

import (
	"slices"

	"github.com/retort-ir/retort/internal/torch"
)

// Batch is a rectangle of token ids, padded up to the longest text.
type Batch struct {
	Rows, Width int
	Lengths     []int // of the texts, [Rows]

	ids      []int64 // [Rows x Width]
	segments []int64 // [Rows x Width]; nil: all are of the first segment
	training bool
}

// BatchTokens is how many tokens a micro-batch without a graph should have, padding included.
func BatchTokens(threads int, onCPU bool) int {
	const most, ofThread, least = 4096, 256, 512
	if !onCPU {
		return most
	}
	// So many tokens keep a processor busy, and their states stay in its caches. More tokens bring only texts of other
	// lengths, which are padding.
	return min(max(ofThread*threads, least), most)
}

// ForTraining returns the batch for a pass with a backward pass, or for an earlier pass that must give the same
// numbers: attention is computed in the type whose backward pass is fast.
func (b Batch) ForTraining() Batch {
	b.training = true
	return b
}

func (b Batch) attentionType(s *torch.Scope, precision torch.Type) torch.Type {
	if b.training {
		return trainingAttention(precision, s.OnCPU())
	}
	return precision
}

// trainingAttention is float32 on CPUs, where LibTorch's attention in bfloat16 is faster forward, but far slower
// backward.
func trainingAttention(precision torch.Type, onCPU bool) torch.Type {
	if onCPU {
		return torch.Float32
	}
	return precision
}

// NewBatch makes a batch of texts, given as token ids, and fills up the shorter texts with pad.
func NewBatch(texts [][]int32, pad int32) Batch {
	b := Batch{Rows: len(texts), Lengths: make([]int, len(texts))}
	for i, ids := range texts {
		b.Lengths[i] = len(ids)
		b.Width = max(b.Width, len(ids))
	}
	b.ids = make([]int64, 0, b.Rows*b.Width)
	for _, ids := range texts {
		for _, id := range ids {
			b.ids = append(b.ids, int64(id))
		}
		for range b.Width - len(ids) {
			b.ids = append(b.ids, int64(pad))
		}
	}
	return b
}

// WithSegments returns the batch with the second segment for the tokens of row i from second[i] on, as in BERT's
// pairs of texts.
func (b Batch) WithSegments(second []int) Batch {
	b.segments = make([]int64, len(b.ids))
	for i, from := range second {
		for j := from; j < b.Lengths[i]; j++ {
			b.segments[i*b.Width+j] = 1
		}
	}
	return b
}

func (b Batch) padded() bool { return slices.Min(b.Lengths) < b.Width }
