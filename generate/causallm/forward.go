package causallm

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/retort-ir/retort/internal/torch"
)

// masked is far below every attention score, yet finite in bfloat16 too.
const masked = -1e30

// keyValues are the keys and values of every layer, each [rows x kvHeads x length x headDim].
type keyValues struct {
	length int
	k, v   []torch.Tensor
}

func (kv *keyValues) free(s *torch.Scope) {
	if kv != nil {
		s.Free(kv.k...)
		s.Free(kv.v...)
	}
}

// block is a rectangle of tokens that are computed at once.
type block struct {
	rows, width int
	ids         []int64 // [rows x width]; padding is at the end of a row
	positions   []int64 // [rows x width]
	lengths     []int   // of each row, without padding

	// prefix was computed before, for all rows alike, and is seen by all tokens; nil is none.
	prefix *keyValues
	// sees says which tokens of its own row a token sees; nil means itself and those before it. Padding is behind
	// the tokens, so those never see it.
	sees func(row, token, other int) bool
	keep bool // its keys and values are wanted
}

// newBlock is a block of texts that follow the prefix.
func newBlock(texts [][]int32, prefix *keyValues) block {
	b := block{rows: len(texts), prefix: prefix}
	for _, ids := range texts {
		b.width = max(b.width, len(ids))
		b.lengths = append(b.lengths, len(ids))
	}
	for _, ids := range texts {
		for j := range b.width {
			id := int32(0)
			if j < len(ids) {
				id = ids[j]
			}
			b.ids = append(b.ids, int64(id))
			b.positions = append(b.positions, int64(b.start()+j))
		}
	}
	return b
}

// start is the first position of the block's own tokens.
func (b block) start() int {
	if b.prefix == nil {
		return 0
	}
	return b.prefix.length
}

// mask is 0 where a token sees another and masked where it does not, [rows or 1 x 1 x width x prefix and width]. A token
// sees no more than the window, which includes itself; 0 is all.
func (b block) mask(s *torch.Scope, precision torch.Type, window int) torch.Tensor {
	rows, sees := b.rows, b.sees
	if sees == nil {
		rows, sees = 1, func(_, token, other int) bool { return other <= token }
	}
	start, keys := b.start(), b.start()+b.width
	values := make([]float32, rows*b.width*keys)
	for r := range rows {
		for t := range b.width {
			line, position := values[(r*b.width+t)*keys:][:keys], int(b.positions[r*b.width+t])
			far := func(other int) bool { return window > 0 && position-other >= window }
			for o := range start {
				if far(o) {
					line[o] = masked
				}
			}
			for o := range b.width {
				if !sees(r, t, o) || far(int(b.positions[r*b.width+o])) {
					line[start+o] = masked
				}
			}
		}
	}
	return s.As(s.FromFloats(values, int64(rows), 1, int64(b.width), int64(keys)), precision)
}

// forward computes a block and returns the residual stream [rows*width x hidden] and, where the block asks for them,
// the keys and values of its own tokens, which the caller frees. ctx is looked at between layers.
func (n *network) forward(ctx context.Context, s *torch.Scope, b block) (torch.Tensor, *keyValues) {
	rows, width := int64(b.rows), int64(b.width)
	x := n.embed(s, b.ids)
	a := n.angles(s, s.FromInts(b.positions, rows*width))
	all := b.mask(s, n.precision, 0)
	local := all
	if w := n.config.window; n.config.local != nil && int(slices.Max(b.positions)) >= w {
		local = b.mask(s, n.precision, w)
	}
	kept := &keyValues{length: b.width}
	for i, l := range n.layers {
		if err := ctx.Err(); err != nil {
			s.Fail(err)
			break
		}
		x = replace(s, x, func(s *torch.Scope) torch.Tensor {
			q, k, v := n.project(s, l, x, a)
			k, v = n.byHead(s, k, b), n.byHead(s, v, b)
			if b.keep && s.Err() == nil {
				if mine, own := s.As(k, n.stored), s.As(v, n.stored); own != nil {
					kept.k, kept.v = append(kept.k, s.Keep(mine)), append(kept.v, s.Keep(own))
				}
			}
			if b.prefix != nil {
				k, v = n.behind(s, b.prefix.k[i], k, rows), n.behind(s, b.prefix.v[i], v, rows)
			}
			mask := all
			if l.local {
				mask = local
			}
			return n.finish(s, l, x, n.attend(s, q, k, v, mask, b))
		})
	}
	if s.Err() != nil {
		kept.free(s)
		return nil, nil
	}
	return x, kept
}

// byHead turns [rows*width x kvHeads x headDim] into [rows x kvHeads x width x headDim], in memory of its own.
func (n *network) byHead(s *torch.Scope, x torch.Tensor, b block) torch.Tensor {
	rows, width := int64(b.rows), int64(b.width)
	kv, d := int64(n.config.kvHeads), int64(n.config.headDim)
	x = s.Transpose(s.Reshape(x, rows, width, kv, d), 1, 2)
	own := s.Zeros(n.precision, rows, kv, width, d)
	s.Copy(own, x)
	return own
}

// behind puts the keys or values of the prefix in front of each row's own.
func (n *network) behind(s *torch.Scope, prefix, own torch.Tensor, rows int64) torch.Tensor {
	return s.Cat(2, s.Expand(s.As(prefix, n.precision), rows, -1, -1, -1), own)
}

// attend returns what each token takes from those that it sees, [rows*width x heads headDim]. The queries that share
// a key head become the heads of a batch of rows*kvHeads, for which the keys are repeated without being copied.
func (n *network) attend(s *torch.Scope, q, k, v, mask torch.Tensor, b block) torch.Tensor {
	rows, width := int64(b.rows), int64(b.width)
	heads, kv, d := int64(n.config.heads), int64(n.config.kvHeads), int64(n.config.headDim)
	keys := int64(b.start()) + width
	group := heads / kv
	q = s.Transpose(s.Reshape(q, rows, width, heads, d), 1, 2)
	if b.sees == nil || rows == 1 { // the mask is one for all
		q = s.Reshape(q, rows*kv, group, width, d)
		k = s.Expand(s.Reshape(k, rows*kv, 1, keys, d), -1, group, -1, -1)
		v = s.Expand(s.Reshape(v, rows*kv, 1, keys, d), -1, group, -1, -1)
	} else {
		k = s.Reshape(s.Expand(s.Reshape(k, rows, kv, 1, keys, d), -1, -1, group, -1, -1), rows, heads, keys, d)
		v = s.Reshape(s.Expand(s.Reshape(v, rows, kv, 1, keys, d), -1, -1, group, -1, -1), rows, heads, keys, d)
	}
	var mixed torch.Tensor
	if limit := n.config.attentionCap; limit > 0 {
		scores := capped(s, s.MatMul(s.Scale(q, n.config.scoreScale()), s.Transpose(k, 2, 3)), limit)
		mixed = s.MatMul(s.Softmax(s.Add(scores, mask), 3), v)
	} else if shared := b.sees == nil || rows == 1; shared && n.team != nil {
		mixed = n.team.attention(s, q, k, v, mask, n.config.scoreScale(), n.precision)
	} else {
		mixed = s.Attention(q, k, v, mask, n.config.scoreScale())
	}
	mixed = s.Transpose(s.Reshape(mixed, rows, heads, width, d), 1, 2)
	return s.Reshape(mixed, rows*width, heads*d)
}

// scoreScale is 1/sqrt(headDim) (Vaswani et al. 2017) unless the model has another.
func (c config) scoreScale() float64 { return cmp.Or(c.scale, 1/math.Sqrt(float64(c.headDim))) }

// replace computes the next hidden state and frees the one it replaces.
func replace(s *torch.Scope, x torch.Tensor, f func(*torch.Scope) torch.Tensor) torch.Tensor {
	next := s.Sub(f)
	if next != nil {
		s.Free(s.Keep(x))
	}
	return next
}
