package encodernet

import (
	"context"
	"fmt"
	"math"

	"github.com/retort-ir/retort/internal/torch"
)

// Network is a network's weights on the device, with the moments of AdamW once it has been trained.
type Network struct {
	Config Config
	Params Parameters // in the order of Shapes
	// FirstPosition is the row of the position embeddings that a text's first token takes: 0 in BERT, and in RoBERTa one
	// more than the padding token's id.
	FirstPosition int

	layers                  []layer
	words, positions, types *Parameter
	norm                    affine
}

// affine is a matrix or the scale of a normalisation, with its bias.
type affine struct{ weight, bias *Parameter }

type layer struct {
	query, key, value, out affine
	attentionNorm          affine
	up, down               affine
	norm                   affine
}

// Shape is a parameter's name in a Hugging Face folder, without the prefix "bert." or "roberta.", and its shape.
type Shape struct {
	Name string
	Dims []int
}

// Shapes lists the weights that a network of this configuration consists of. The pooler is not among them: it is a
// head.
func Shapes(c Config) []Shape {
	h, f := c.HiddenSize, c.IntermediateSize
	shapes := []Shape{
		{"embeddings.word_embeddings.weight", []int{c.VocabSize, h}},
		{"embeddings.position_embeddings.weight", []int{c.MaxPositions, h}},
		{"embeddings.token_type_embeddings.weight", []int{c.TypeVocabSize, h}},
		{"embeddings.LayerNorm.weight", []int{h}},
		{"embeddings.LayerNorm.bias", []int{h}},
	}
	for i := range c.Layers {
		for _, m := range []struct {
			name    string
			out, in int // in 0: a normalisation
		}{
			{"attention.self.query", h, h},
			{"attention.self.key", h, h},
			{"attention.self.value", h, h},
			{"attention.output.dense", h, h},
			{"attention.output.LayerNorm", h, 0},
			{"intermediate.dense", f, h},
			{"output.dense", h, f},
			{"output.LayerNorm", h, 0},
		} {
			weight := []int{m.out, m.in}
			if m.in == 0 {
				weight = []int{m.out}
			}
			prefix := fmt.Sprintf("encoder.layer.%d.%s.", i, m.name)
			shapes = append(shapes, Shape{prefix + "weight", weight}, Shape{prefix + "bias", []int{m.out}})
		}
	}
	return shapes
}

// New puts a network's weights on the runtime's device. read returns the values of a parameter of Shapes.
func New(ctx context.Context, rt *torch.Runtime, c Config, read ReadFunc) (*Network, error) {
	params, err := NewParameters(ctx, rt, Shapes(c), read)
	if err != nil {
		return nil, err
	}
	n := &Network{Config: c, Params: params}
	n.wire()
	return n, nil
}

// wire gives the forward pass its parameters by place, in the order of Shapes.
func (n *Network) wire() {
	rest := n.Params
	next := func() *Parameter {
		p := rest[0]
		rest = rest[1:]
		return p
	}
	pair := func() affine {
		weight := next()
		return affine{weight: weight, bias: next()}
	}
	n.words, n.positions, n.types, n.norm = next(), next(), next(), pair()
	for range n.Config.Layers {
		l := layer{query: pair(), key: pair(), value: pair(), out: pair()}
		l.attentionNorm, l.up, l.down, l.norm = pair(), pair(), pair(), pair()
		n.layers = append(n.layers, l)
	}
}

// Clone copies the weights, not the moments.
func (n *Network) Clone(ctx context.Context, rt *torch.Runtime) (*Network, error) {
	values := make(map[string][]float32, len(n.Params))
	err := rt.Run(ctx, func(s *torch.Scope) error {
		for _, p := range n.Params {
			values[p.Name] = s.Floats(p.Value)
		}
		return s.Err()
	})
	if err != nil {
		return nil, err
	}
	twin, err := New(ctx, rt, n.Config, func(name string, _ []int) ([]float32, error) { return values[name], nil })
	if err != nil {
		return nil, err
	}
	twin.FirstPosition = n.FirstPosition
	return twin, nil
}

// masked is far below every attention score, yet finite in bfloat16 too.
const masked = -1e30

// Hidden returns the last layer's hidden states [rows x width x hidden] in float32; the states of padding are
// undefined. It computes matrix products in precision and everything else in float32, as autocast does.
func (n *Network) Hidden(s *torch.Scope, b Batch, precision torch.Type) torch.Tensor {
	return n.run(s, b, len(n.layers), precision)
}

// FirstHidden returns the last layer's hidden state of each row's first token, [rows x hidden] in float32. The last
// layer computes no other token.
func (n *Network) FirstHidden(s *torch.Scope, b Batch, precision torch.Type) torch.Tensor {
	last := len(n.layers) - 1
	x := n.run(s, b, last, precision)
	mask := attentionMask(s, b, precision)
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		from := s.Narrow(x, 1, 0, 1)
		first := n.attend(s, n.layers[last], from, x, mask, precision)
		return s.Select(n.feedForward(s, n.layers[last], first, precision), 1, 0)
	})
}

// run computes the embeddings and the first layers.
func (n *Network) run(s *torch.Scope, b Batch, layers int, precision torch.Type) torch.Tensor {
	x := s.Sub(func(s *torch.Scope) torch.Tensor { return n.embed(s, b) })
	mask := attentionMask(s, b, precision)
	for _, l := range n.layers[:layers] {
		x = n.replace(s, x, func(s *torch.Scope) torch.Tensor { return n.attend(s, l, x, x, mask, precision) })
		x = n.replace(s, x, func(s *torch.Scope) torch.Tensor { return n.feedForward(s, l, x, precision) })
	}
	return x
}

// replace computes the next hidden state and frees the one it replaces; a graph keeps what it needs.
func (n *Network) replace(s *torch.Scope, x torch.Tensor, f func(*torch.Scope) torch.Tensor) torch.Tensor {
	next := s.Sub(f)
	if next != nil {
		s.Free(s.Keep(x))
	}
	return next
}

func (n *Network) embed(s *torch.Scope, b Batch) torch.Tensor {
	rows, width, h := int64(b.Rows), int64(b.Width), int64(n.Config.HiddenSize)
	words := s.ParameterRows(n.words.Value, s.FromInts(b.ids, rows, width))
	positions := s.Narrow(n.positions.Value, 0, int64(n.FirstPosition), width)
	segments := s.Reshape(s.Narrow(n.types.Value, 0, 0, 1), 1, 1, h)
	if b.segments != nil {
		segments = s.Embedding(n.types.Value, s.FromInts(b.segments, rows, width))
	}
	s.AddInPlace(words, segments)
	s.AddInPlace(words, s.Reshape(positions, 1, width, h))
	return n.layerNorm(s, words, n.norm)
}

// attend computes the attention of from, a part of the hidden states x, over x.
func (n *Network) attend(s *torch.Scope, l layer, from, x torch.Tensor, m mask, precision torch.Type) torch.Tensor {
	h, heads := int64(n.Config.HiddenSize), int64(n.Config.Heads)
	in := s.As(x, precision)
	queries := in
	if from != x {
		queries = s.As(from, precision)
	}
	project := func(in torch.Tensor, a affine) torch.Tensor {
		shape := s.Shape(in)
		if shape == nil {
			return nil
		}
		return s.Transpose(s.Reshape(s.As(linear(s, in, a, precision), m.kind), shape[0], shape[1], heads, h/heads), 1, 2)
	}
	mixed := s.Attention(project(queries, l.query), project(in, l.key), project(in, l.value), m.tensor,
		1/math.Sqrt(float64(h/heads)))
	mixed = s.As(s.Transpose(mixed, 1, 2), precision)
	if shape := s.Shape(mixed); shape != nil {
		mixed = s.Reshape(mixed, shape[0], shape[1], h)
	}
	return n.layerNorm(s, plus(s, linear(s, mixed, l.out, precision), from), l.attentionNorm)
}

func (n *Network) feedForward(s *torch.Scope, l layer, x torch.Tensor, precision torch.Type) torch.Tensor {
	up := n.activate(s, linear(s, s.As(x, precision), l.up, precision))
	return n.layerNorm(s, plus(s, linear(s, up, l.down, precision), x), l.norm)
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
	default: // ReadConfig accepts no other than "gelu"
		return s.Gelu(x)
	}
}

func (n *Network) layerNorm(s *torch.Scope, x torch.Tensor, a affine) torch.Tensor {
	return s.LayerNorm(x, a.weight.Value, a.bias.Value, int64(n.Config.HiddenSize), n.Config.LayerNormEps)
}

// linear casts the weights as part of the graph, so that the gradient reaches the float32 weights.
func linear(s *torch.Scope, x torch.Tensor, a affine, precision torch.Type) torch.Tensor {
	return s.Linear(x, a.weight.as(s, precision), a.bias.as(s, precision))
}

// mask is added to the scores of attention, and has the type in which attention is computed.
type mask struct {
	tensor torch.Tensor
	kind   torch.Type
}

// attentionMask is 0 for tokens and masked for padding, [rows x 1 x 1 x width]. It exists even if nothing is masked,
// since gotch cannot pass an absent mask; LibTorch's fused kernels apply a mask at little cost.
func attentionMask(s *torch.Scope, b Batch, precision torch.Type) mask {
	kind := b.attentionType(s, precision)
	if !b.padded() {
		return mask{s.Zeros(kind, 1, 1, 1, int64(b.Width)), kind}
	}
	values := make([]float32, b.Rows*b.Width)
	for i, length := range b.Lengths {
		for j := length; j < b.Width; j++ {
			values[i*b.Width+j] = masked
		}
	}
	return mask{s.As(s.FromFloats(values, int64(b.Rows), 1, 1, int64(b.Width)), kind), kind}
}
