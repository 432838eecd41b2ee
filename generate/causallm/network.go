package causallm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
	"unsafe"

	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/torch"
)

// network is a decoder-only transformer on the device: token embeddings; layers of RMSNorm, attention with rotary
// positions and grouped queries, RMSNorm, SwiGLU; RMSNorm and the output matrix (Touvron et al. 2023, arXiv
// 2302.13971). The residual stream, the normalisations and the rotation are float32; matrix products and attention
// have the model's precision.
type network struct {
	config    config
	precision torch.Type
	stored    torch.Type // of kept keys and values
	room      int        // tokens whose keys and values may be kept: of the rows of a batch, and of prefixes

	tokens matrix // [vocab x hidden]
	output matrix // [vocab x hidden], the same where they are tied
	norm   torch.Tensor
	layers []layer
	team   *team // multiplies by packed matrices; nil where there are none

	turn, localTurn angles // of each position; local layers have their own
	positions       int

	digest string // of the weights
}

type layer struct {
	attentionNorm, norm torch.Tensor // before attention and feed-forward network
	attentionAfter      torch.Tensor // of what attention adds; nil: none
	after               torch.Tensor // of what the feed-forward network adds; nil: none
	headNorm            torch.Tensor // of queries and keys, [heads + kvHeads x headDim]; nil: none
	local               bool
	qkv                 matrix       // [(heads + 2 kvHeads) headDim x hidden]
	qkvBias             torch.Tensor // nil: none
	out                 matrix       // [hidden x heads headDim]
	gateUp              matrix       // [2 inner x hidden]
	down                matrix       // [hidden x inner]
}

// loader puts weights on the device and remembers what it made, so that a failure half way leaves nothing behind.
type loader struct {
	s         *torch.Scope
	w         weightReader
	precision torch.Type
	lessOne   bool // see config
	made      []torch.Tensor
	widest    int // columns of the packed matrices; 0: there are none
	bytes     int // of all matrices
	hash      hash.Hash
	err       error
}

// newNetwork reads the weights. positions is how many tokens a text may have, threads how many multiply by packed
// matrices.
func newNetwork(
	ctx context.Context, rt *torch.Runtime, c config, w weightReader, precision torch.Type, positions, threads int,
) (*network, error) {
	n := &network{config: c, precision: precision, positions: positions}
	l := &loader{w: w, precision: precision, lessOne: c.lessOne, hash: sha256.New()}
	err := rt.Run(ctx, func(s *torch.Scope) error {
		l.s = s
		s.NoGrad(func() { n.load(ctx, l) })
		if l.err != nil || s.Err() != nil {
			return firstError(l.err, s.Err()) // the scope frees what was made
		}
		for _, t := range l.made {
			s.Keep(t)
		}
		n.digest = hex.EncodeToString(l.hash.Sum(nil))
		n.keep(l.bytes, l.widest > 0)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if l.widest > 0 {
		if n.team, err = newTeam(ctx, threads, l.widest); err != nil {
			return nil, errors.Join(err, rt.Run(context.Background(), func(s *torch.Scope) error {
				n.free(s)
				return nil
			}))
		}
	}
	return n, nil
}

// leastRoom is how many bytes of keys and values the rows of a batch may have in any case, and prefixes too.
const leastRoom = 64 << 20

// keep decides how keys and values are kept. Beside quantised weights they are of 16 bits, as in llama.cpp.
func (n *network) keep(weights int, quantised bool) {
	n.stored = n.precision
	if quantised && n.precision == torch.Float32 {
		n.stored = torch.Float16
	}
	token := 2 * n.config.layers * n.config.kvHeads * n.config.headDim * sizeOf(n.stored)
	n.room = max(leastRoom, weights/8) / token
}

// sizeOf returns the bytes of an element.
func sizeOf(t torch.Type) int {
	if t == torch.Float32 {
		return 4
	}
	return 2
}

func (n *network) load(ctx context.Context, l *loader) {
	c := n.config
	q, kv := c.heads*c.headDim, c.kvHeads*c.headDim
	n.tokens = l.matrix(c.hidden, part{"model.embed_tokens.weight", c.vocab})
	n.output = n.tokens
	if !c.tied {
		n.output = l.matrix(c.hidden, part{"lm_head.weight", c.vocab})
	}
	n.norm = l.vector("model.norm.weight", c.hidden)
	for i := range c.layers {
		if l.err == nil {
			l.err = ctx.Err()
		}
		if l.err != nil || l.s.Err() != nil {
			return
		}
		p := fmt.Sprintf("model.layers.%d.", i)
		var y layer
		y.attentionNorm = l.vector(p+"input_layernorm.weight", c.hidden)
		y.qkv = l.matrix(c.hidden, part{p + "self_attn.q_proj.weight", q}, part{p + "self_attn.k_proj.weight", kv},
			part{p + "self_attn.v_proj.weight", kv})
		if c.qkvBias {
			y.qkvBias = l.bias(part{p + "self_attn.q_proj.bias", q}, part{p + "self_attn.k_proj.bias", kv},
				part{p + "self_attn.v_proj.bias", kv})
		}
		y.out = l.matrix(q, part{p + "self_attn.o_proj.weight", c.hidden})
		y.local = c.isLocal(i)
		if c.qkNorm {
			y.headNorm = l.headNorm(p, c)
		}
		if !c.sandwich {
			y.norm = l.vector(p+"post_attention_layernorm.weight", c.hidden)
		} else {
			y.attentionAfter = l.vector(p+"post_attention_layernorm.weight", c.hidden)
			y.norm = l.vector(p+"pre_feedforward_layernorm.weight", c.hidden)
			y.after = l.vector(p+"post_feedforward_layernorm.weight", c.hidden)
		}
		y.gateUp = l.matrix(c.hidden, part{p + "mlp.gate_proj.weight", c.inner}, part{p + "mlp.up_proj.weight", c.inner})
		y.down = l.matrix(c.inner, part{p + "mlp.down_proj.weight", c.hidden})
		n.layers = append(n.layers, y)
	}
	n.turn = l.angles(c.rope.frequencies(c.headDim), n.positions)
	if c.local != nil {
		n.localTurn = l.angles(c.localRope.frequencies(c.headDim), n.positions)
	}
}

// angles are the cosines and sines of positions, each [positions x headDim] or, for the tokens of a batch, [tokens x 1 x
// headDim]. sin's first half is negated: a vector x turns into x*cos + roll(x)*sin, where roll swaps the halves.
type angles struct{ cos, sin torch.Tensor }

func (l *loader) angles(frequencies []float64, positions int) angles {
	half := len(frequencies)
	width := 2 * half
	cos, sin := make([]float32, positions*width), make([]float32, positions*width)
	for p := range positions {
		for i, f := range frequencies {
			// transformers rounds the angle to float32 and so do we: at large positions it matters.
			angle := float64(float32(p) * float32(f))
			at := p*width + i
			cos[at], cos[at+half] = float32(math.Cos(angle)), float32(math.Cos(angle))
			sin[at], sin[at+half] = -float32(math.Sin(angle)), float32(math.Sin(angle))
		}
	}
	return angles{
		cos: l.keep(l.s.FromFloats(cos, int64(positions), int64(width))),
		sin: l.keep(l.s.FromFloats(sin, int64(positions), int64(width))),
	}
}

// part is a parameter that makes up some rows of a joined matrix.
type part struct {
	name string
	rows int
}

// matrix returns the parts' rows one below the other: packed where a GGUF file has them quantised and the CPU computes,
// otherwise as a tensor in the model's precision.
func (l *loader) matrix(columns int, parts ...part) matrix {
	if p := l.pack(columns, parts); p != nil {
		return matrix{packed: p}
	}
	return matrix{dense: l.join(parts, func(p part) []float32 { return l.read(p.name, p.rows, columns) },
		func(rows int) []int64 { return []int64{int64(rows), int64(columns)} })}
}

// pack returns nil where no part is quantised or the device is a GPU.
func (l *loader) pack(columns int, parts []part) *packed {
	w, ok := l.w.(*ggufWeights)
	if !ok || !l.s.OnCPU() || l.err != nil {
		return nil
	}
	p := &packed{columns: columns, quantised: true}
	some := false
	for _, part := range parts {
		stored, err := w.packed(part.name, part.rows, columns)
		if err != nil {
			l.err = err
			return nil
		}
		some = some || stored.Type.Quantised()
		p.quantised = p.quantised && stored.Type.Quantised()
		p.rows += part.rows
		p.parts = append(p.parts, stored)
	}
	if !some {
		return nil
	}
	l.widest = max(l.widest, columns)
	for _, part := range p.parts {
		l.bytes += len(part.Bytes())
	}
	p.digest(l.hash)
	return p
}

func (l *loader) bias(parts ...part) torch.Tensor {
	return l.join(parts, func(p part) []float32 { return l.read(p.name, p.rows) },
		func(rows int) []int64 { return []int64{int64(rows)} })
}

func (l *loader) join(parts []part, read func(part) []float32, shape func(rows int) []int64) torch.Tensor {
	var values []float32
	rows := 0
	for _, p := range parts {
		v := read(p)
		rows += p.rows
		if values == nil {
			values = v
			continue
		}
		values = append(values, v...)
	}
	if l.err != nil {
		return nil
	}
	l.bytes += sizeOf(l.precision) * len(values)
	return l.keep(l.s.Sub(func(s *torch.Scope) torch.Tensor { return s.As(s.FromFloats(values, shape(rows)...), l.precision) }))
}

// vector returns the scale of a normalisation, in float32.
func (l *loader) vector(name string, width int) torch.Tensor {
	values := l.scale(name, width)
	if l.err != nil {
		return nil
	}
	return l.keep(l.s.FromFloats(values, int64(width)))
}

// headNorm returns the scales of each head of the queries and of the keys.
func (l *loader) headNorm(prefix string, c config) torch.Tensor {
	q, k := l.scale(prefix+"self_attn.q_norm.weight", c.headDim), l.scale(prefix+"self_attn.k_norm.weight", c.headDim)
	if l.err != nil {
		return nil
	}
	values := slices.Concat(slices.Repeat(q, c.heads), slices.Repeat(k, c.kvHeads))
	return l.keep(l.s.FromFloats(values, int64(c.heads+c.kvHeads), int64(c.headDim)))
}

func (l *loader) scale(name string, width int) []float32 {
	values := l.fetch(name, width)
	if l.lessOne {
		for i := range values {
			values[i]++
		}
	}
	l.digest(values)
	return values
}

func (l *loader) read(name string, shape ...int) []float32 {
	values := l.fetch(name, shape...)
	l.digest(values)
	return values
}

func (l *loader) fetch(name string, shape ...int) []float32 {
	if l.err != nil {
		return nil
	}
	values, err := l.w.read(name, shape...)
	if err != nil {
		l.err = err
		return nil
	}
	return values
}

func (l *loader) digest(values []float32) {
	if len(values) > 0 {
		l.hash.Write(unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values)))
	}
}

func (l *loader) keep(t torch.Tensor) torch.Tensor {
	if t != nil {
		l.made = append(l.made, t)
	}
	return t
}

// free gives back all of the network's tensors.
func (n *network) free(s *torch.Scope) {
	if !n.config.tied {
		s.Free(n.output.dense)
	}
	s.Free(n.tokens.dense, n.norm, n.turn.cos, n.turn.sin, n.localTurn.cos, n.localTurn.sin)
	for _, l := range n.layers {
		s.Free(l.attentionNorm, l.norm, l.attentionAfter, l.after, l.headNorm, l.qkv.dense, l.qkvBias, l.out.dense, l.gateUp.dense, l.down.dense)
	}
	n.layers = nil
}

// embed returns the residual stream's beginning, [tokens x hidden] in float32.
func (n *network) embed(s *torch.Scope, ids []int64) torch.Tensor {
	x := n.rowsOf(s, ids)
	if n.config.scaledInput {
		x = s.Scale(x, float64(float32(math.Sqrt(float64(n.config.hidden)))))
	}
	return x
}

func (n *network) rowsOf(s *torch.Scope, ids []int64) torch.Tensor {
	p := n.tokens.packed
	if p == nil {
		return s.As(s.Embedding(n.tokens.dense, s.FromInts(ids, int64(len(ids)))), torch.Float32)
	}
	values := make([]float32, len(ids)*p.columns)
	for i, id := range ids {
		p.read(values[i*p.columns:], int(id), 1)
	}
	return s.FromFloats(values, int64(len(ids)), int64(p.columns))
}

// linear is x weightᵀ + bias in the model's precision; a nil bias is none.
func (n *network) linear(s *torch.Scope, x torch.Tensor, weight matrix, bias torch.Tensor) torch.Tensor {
	if weight.packed == nil {
		return s.Linear(x, weight.dense, bias)
	}
	y := n.team.multiply(s, x, weight.packed, n.precision)
	if bias != nil {
		s.AddInPlace(y, bias)
	}
	return y
}

// logits returns [rows x vocab] in float32 of rows of the residual stream.
func (n *network) logits(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		y := n.linear(s, s.As(n.normalise(s, x, n.norm), n.precision), n.output, nil)
		return capped(s, s.As(y, torch.Float32), n.config.logitCap)
	})
}

// capped is limit tanh(x/limit) (Bello et al. 2016, arXiv 1611.09940), or x where the limit is 0.
func capped(s *torch.Scope, x torch.Tensor, limit float64) torch.Tensor {
	if limit == 0 {
		return x
	}
	return s.Scale(s.Tanh(s.Scale(x, 1/limit)), limit)
}

// normalise is RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467) over the last of two or three dimensions,
// x / sqrt(mean(x²) + eps) * weight, in float32.
func (n *network) normalise(s *torch.Scope, x, weight torch.Tensor) torch.Tensor {
	square := s.MeanDim(s.Mul(x, x), -1)
	if square == nil {
		return nil
	}
	s.AddScalarInPlace(square, n.config.eps)
	return s.Mul(s.Mul(x, s.Rsqrt(square)), weight)
}

// batchAngles are the angles of a batch's tokens, for layers that see all tokens and for local ones.
type batchAngles struct{ all, local angles }

func (n *network) angles(s *torch.Scope, positions torch.Tensor) batchAngles {
	width := int64(n.config.headDim)
	of := func(a angles) angles {
		return angles{
			cos: s.Reshape(s.Embedding(a.cos, positions), -1, 1, width),
			sin: s.Reshape(s.Embedding(a.sin, positions), -1, 1, width),
		}
	}
	a := batchAngles{all: of(n.turn)}
	if n.config.local != nil {
		a.local = of(n.localTurn)
	}
	return a
}

// project returns the queries [tokens x heads x headDim], keys and values [tokens x kvHeads x headDim] of a layer;
// queries and keys are turned to their positions.
func (n *network) project(s *torch.Scope, l layer, x torch.Tensor, both batchAngles) (q, k, v torch.Tensor) {
	a := both.all
	if l.local {
		a = both.local
	}
	heads, kv, width := int64(n.config.heads), int64(n.config.kvHeads), int64(n.config.headDim)
	all := n.linear(s, s.As(n.normalise(s, x, l.attentionNorm), n.precision), l.qkv, l.qkvBias)
	all = s.Reshape(all, -1, heads+2*kv, width)
	straight := s.As(s.Narrow(all, 1, 0, heads+kv), torch.Float32)
	if l.headNorm != nil {
		straight = n.normalise(s, straight, l.headNorm)
	}
	turned := s.As(s.Add(s.Mul(straight, a.cos), s.Mul(s.Roll(straight, 2, width/2), a.sin)), n.precision)
	return s.Narrow(turned, 1, 0, heads), s.Narrow(turned, 1, heads, kv), s.Narrow(all, 1, heads+kv, kv)
}

// finish adds the attention's outcome [tokens x heads headDim] and the feed-forward network to the residual stream.
func (n *network) finish(s *torch.Scope, l layer, x, mixed torch.Tensor) torch.Tensor {
	x = s.Add(x, n.after(s, n.linear(s, mixed, l.out, nil), l.attentionAfter))
	return s.Add(x, n.after(s, n.feedForward(s, l, s.As(n.normalise(s, x, l.norm), n.precision)), l.after))
}

// feedForward is down (activate(gate x) * up x) (Shazeer 2020, arXiv 2002.05202).
func (n *network) feedForward(s *torch.Scope, l layer, x torch.Tensor) torch.Tensor {
	if n.team.inIntegers(l.gateUp.packed) && n.team.inIntegers(l.down.packed) {
		activate := kernel.SiLU
		if n.config.geluTanh {
			activate = kernel.GELUTanh
		}
		return s.As(n.team.feedForward(s, x, l.gateUp.packed, l.down.packed, activate), n.precision)
	}
	inner := int64(n.config.inner)
	up := n.linear(s, x, l.gateUp, nil)
	gate := s.Narrow(up, 1, 0, inner)
	if n.config.geluTanh {
		gate = s.GeluTanh(gate)
	} else {
		gate = s.Silu(gate)
	}
	return n.linear(s, s.Mul(gate, s.Narrow(up, 1, inner, inner)), l.down, nil)
}

// after is what is added to the residual stream.
func (n *network) after(s *torch.Scope, x, norm torch.Tensor) torch.Tensor {
	x = s.As(x, torch.Float32)
	if norm == nil {
		return x
	}
	return n.normalise(s, x, norm)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
