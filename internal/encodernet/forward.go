package encodernet

import (
	"math"

	"github.com/retort-ir/retort/internal/torch"
)

// Hidden returns the last layer's hidden states [rows x width x hidden] in float32; the states of padding are
// undefined. It computes matrix products in precision and everything else in float32, as autocast does.
func (n *Network) Hidden(s *torch.Scope, b Batch, precision torch.Type) torch.Tensor {
	p := n.newPass(s, b, precision)
	x := p.run(s, len(n.layers))
	if n.names.preNorm() {
		x = p.replace(s, x, func(s *torch.Scope) torch.Tensor { return n.normalize(s, x, n.final) })
	}
	return x
}

// FirstHidden returns the last layer's hidden state of each row's first token, [rows x hidden] in float32. The last
// layer computes no other token.
func (n *Network) FirstHidden(s *torch.Scope, b Batch, precision torch.Type) torch.Tensor {
	p := n.newPass(s, b, precision)
	last := len(n.layers) - 1
	x := p.run(s, last)
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		first := p.attend(s, n.layers[last], s.Narrow(x, 1, 0, 1), x)
		first = p.feedForward(s, n.layers[last], first)
		if n.names.preNorm() {
			first = n.normalize(s, first, n.final)
		}
		return s.Select(first, 1, 0)
	})
}

// pass is one forward pass over a batch.
type pass struct {
	*Network
	batch     Batch
	precision torch.Type // of matrix products
	kind      torch.Type // of attention
	full      torch.Tensor
	local     torch.Tensor // nil: no layer has a window
	turn      turn         // of rotary positions
	localTurn turn
}

func (n *Network) newPass(s *torch.Scope, b Batch, precision torch.Type) *pass {
	p := &pass{Network: n, batch: b, precision: precision, kind: b.attentionType(s, precision)}
	p.full = p.mask(s, 0)
	p.turn = n.rotary.turn(s, n.Config.Rotary, n.Config.headSize(), b.Width)
	p.localTurn = p.turn
	if n.Config.Local != nil {
		p.local = p.mask(s, n.Config.Window)
		p.localTurn = n.rotary.turn(s, n.Config.LocalRotary, n.Config.headSize(), b.Width)
	}
	return p
}

// run computes the embeddings and the first layers.
func (p *pass) run(s *torch.Scope, layers int) torch.Tensor {
	x := s.Sub(p.embed)
	for _, l := range p.layers[:layers] {
		x = p.replace(s, x, func(s *torch.Scope) torch.Tensor { return p.attend(s, l, x, x) })
		x = p.replace(s, x, func(s *torch.Scope) torch.Tensor { return p.feedForward(s, l, x) })
	}
	return x
}

// replace computes the next hidden state and frees the one it replaces; a graph keeps what it needs.
func (p *pass) replace(s *torch.Scope, x torch.Tensor, f func(*torch.Scope) torch.Tensor) torch.Tensor {
	next := s.Sub(f)
	if next != nil {
		s.Free(s.Keep(x))
	}
	return next
}

func (p *pass) embed(s *torch.Scope) torch.Tensor {
	rows, width, h := int64(p.batch.Rows), int64(p.batch.Width), int64(p.Config.HiddenSize)
	words := s.ParameterRows(p.words.Value, s.FromInts(p.batch.ids, rows, width))
	if p.types != nil {
		segments := s.Reshape(s.Narrow(p.types.Value, 0, 0, 1), 1, 1, h)
		if p.batch.segments != nil {
			segments = s.Embedding(p.types.Value, s.FromInts(p.batch.segments, rows, width))
		}
		s.AddInPlace(words, segments)
	}
	if p.positions != nil {
		positions := s.Narrow(p.positions.Value, 0, int64(p.Config.FirstPosition), width)
		s.AddInPlace(words, s.Reshape(positions, 1, width, h))
	}
	if p.norm.weight == nil {
		return words
	}
	return p.normalize(s, words, p.norm)
}

// attend computes the attention of from, x or its first token, over x.
func (p *pass) attend(s *torch.Scope, l layer, from, x torch.Tensor) torch.Tensor {
	in := x
	if p.names.preNorm() && l.attentionNorm.weight != nil {
		in = p.normalize(s, x, l.attentionNorm)
	}
	in = s.As(in, p.precision)
	queries := in
	if from != x {
		queries = s.Narrow(in, 1, 0, 1)
	}
	q, k, v := p.project(s, l, queries, in)
	mask := p.full
	if l.local {
		mask = p.local
	}
	if shape := s.Shape(mask); from != x && shape != nil && shape[2] > 1 {
		mask = s.Narrow(mask, 2, 0, 1)
	}
	heads, d := int64(p.Config.Heads), int64(p.Config.headSize())
	mixed := s.Attention(q, k, v, mask, 1/math.Sqrt(float64(d)))
	mixed = s.As(s.Transpose(mixed, 1, 2), p.precision)
	if shape := s.Shape(mixed); shape != nil {
		mixed = s.Reshape(mixed, shape[0], shape[1], heads*d)
	}
	sum := plus(s, p.linear(s, mixed, l.out), from)
	if p.names.preNorm() {
		return sum
	}
	return p.normalize(s, sum, l.attentionNorm)
}

// project returns queries of from, x or its first token, and keys and values of x: [rows x heads x tokens x head size]
// in the type of attention. Rotary positions leave the first token as it is.
func (p *pass) project(s *torch.Scope, l layer, from, x torch.Tensor) (q, k, v torch.Tensor) {
	heads, kv := int64(p.Config.Heads), int64(p.Config.kvHeads())
	turned, none := p.turn, turn{}
	if l.local {
		turned = p.localTurn
	}
	out := func(t torch.Tensor) torch.Tensor { return s.Transpose(s.As(t, p.kind), 1, 2) }
	part := func(in, weight, bias torch.Tensor, heads int64, norm affine, turned turn) torch.Tensor {
		t := p.heads(s, s.Linear(in, weight, bias), heads)
		if norm.weight != nil {
			t = p.normalize(s, t, norm)
		}
		return out(turned.apply(s, t))
	}
	ofQueries := turned
	if from != x {
		ofQueries = none
	}
	switch packed := l.qkv.weight != nil; {
	case packed && from == x:
		qkv := p.heads(s, p.linear(s, x, l.qkv), heads+2*kv)
		both := turned.apply(s, s.Narrow(qkv, 2, 0, heads+kv))
		q, k = out(s.Narrow(both, 2, 0, heads)), out(s.Narrow(both, 2, heads, kv))
		v = out(s.Narrow(qkv, 2, heads+kv, kv))
	case packed:
		weight, bias := p.cast(s, l.qkv)
		rows := func(first, heads int64) (w, b torch.Tensor) {
			d := int64(p.Config.headSize())
			if bias != nil {
				b = s.Narrow(bias, 0, first*d, heads*d)
			}
			return s.Narrow(weight, 0, first*d, heads*d), b
		}
		w, b := rows(0, heads)
		q = part(from, w, b, heads, affine{}, none)
		w, b = rows(heads, kv)
		k = part(x, w, b, kv, affine{}, turned)
		w, b = rows(heads+kv, kv)
		v = part(x, w, b, kv, affine{}, none)
	default:
		w, b := p.cast(s, l.query)
		q = part(from, w, b, heads, l.queryNorm, ofQueries)
		w, b = p.cast(s, l.key)
		k = part(x, w, b, kv, l.keyNorm, turned)
		w, b = p.cast(s, l.value)
		v = part(x, w, b, kv, affine{}, none)
	}
	return q, p.repeat(s, k), p.repeat(s, v)
}

// heads cuts rows into heads: [rows x tokens x heads x head size]. What turns does so in float32.
func (p *pass) heads(s *torch.Scope, x torch.Tensor, heads int64) torch.Tensor {
	kind := p.kind
	if p.Config.Rotary.Theta > 0 {
		kind = torch.Float32
	}
	shape := s.Shape(x)
	if shape == nil {
		return nil
	}
	return s.Reshape(s.As(x, kind), shape[0], shape[1], heads, int64(p.Config.headSize()))
}

// repeat gives each head of queries its own copy of the keys or values that it shares.
func (p *pass) repeat(s *torch.Scope, x torch.Tensor) torch.Tensor {
	times := int64(p.Config.Heads / p.Config.kvHeads())
	shape := s.Shape(x)
	if times == 1 || shape == nil {
		return x
	}
	x = s.Reshape(x, shape[0], shape[1], 1, shape[2], shape[3])
	return s.Reshape(s.Expand(x, -1, -1, times, -1, -1), shape[0], shape[1]*times, shape[2], shape[3])
}

func (p *pass) feedForward(s *torch.Scope, l layer, x torch.Tensor) torch.Tensor {
	in := x
	if p.names.preNorm() {
		in = p.normalize(s, x, l.norm)
	}
	in = s.As(in, p.precision)
	var up torch.Tensor
	switch f := int64(p.Config.IntermediateSize); {
	case l.packed.weight != nil:
		both := p.linear(s, in, l.packed)
		first, second := s.Narrow(both, 2, 0, f), s.Narrow(both, 2, f, f)
		if p.names.upGate != "" {
			first, second = second, first
		}
		up = gated(s, p.activate(s, first), second)
	case l.gate.weight != nil:
		up = gated(s, p.activate(s, p.linear(s, in, l.gate)), p.linear(s, in, l.up))
	default:
		up = p.activate(s, p.linear(s, in, l.up))
	}
	sum := plus(s, p.linear(s, up, l.down), x)
	if p.names.preNorm() {
		return sum
	}
	return p.normalize(s, sum, l.norm)
}

// gated multiplies in place where no graph needs the gate.
func gated(s *torch.Scope, gate, up torch.Tensor) torch.Tensor {
	if s.Recording() {
		return s.Mul(gate, up)
	}
	s.MulInPlace(gate, up)
	return gate
}

// plus adds x, in float32, to a result that has no other reader, so that the sum needs no memory.
func plus(s *torch.Scope, result, x torch.Tensor) torch.Tensor {
	sum := s.As(result, torch.Float32)
	s.AddInPlace(sum, x)
	return sum
}

func (n *Network) activate(s *torch.Scope, x torch.Tensor) torch.Tensor {
	switch n.Config.Activation {
	case "relu":
		return s.Relu(x)
	case "gelu_new", "gelu_pytorch_tanh":
		return s.GeluTanh(x)
	case "silu", "swish":
		return s.Silu(x)
	default: // ReadConfig accepts no other than "gelu"
		return s.Gelu(x)
	}
}

// normalize normalises over the last dimension: the hidden size, or a head's.
func (n *Network) normalize(s *torch.Scope, x torch.Tensor, a affine) torch.Tensor {
	eps := n.Config.LayerNormEps
	if n.Config.Norm == RMSNorm {
		square := s.MeanDim(s.Mul(x, x), -1)
		s.AddScalarInPlace(square, eps)
		return s.Mul(s.Mul(x, s.Rsqrt(square)), a.weight.Value)
	}
	var bias torch.Tensor
	if a.bias != nil {
		bias = a.bias.Value
	}
	return s.LayerNorm(x, a.weight.Value, bias, int64(n.Config.HiddenSize), eps)
}

func (p *pass) linear(s *torch.Scope, x torch.Tensor, a affine) torch.Tensor {
	weight, bias := p.cast(s, a)
	return s.Linear(x, weight, bias)
}

// cast returns the weights in the type of products, as part of the graph, so that the gradient reaches the float32
// weights.
func (p *pass) cast(s *torch.Scope, a affine) (weight, bias torch.Tensor) {
	if a.bias != nil {
		bias = a.bias.as(s, p.precision)
	}
	return a.weight.as(s, p.precision), bias
}
