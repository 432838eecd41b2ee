package bert

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ir/retort/internal/torch"
)

// network is one tower's weights on the device, with the moments of AdamW once it has been trained.
type network struct {
	config Config
	params []*parameter // in the order of parameterShapes
	layers []layer

	words, positions, types *parameter
	norm                    affine
}

// parameter is one weight. first and second are AdamW's moments, nil before the first step.
type parameter struct {
	name                 string
	shape                []int
	value, first, second torch.Tensor
}

// affine is a matrix or the scale of a normalisation, with its bias.
type affine struct{ weight, bias *parameter }

// set overwrites the weights.
func (p *parameter) set(s *torch.Scope, values []float32) error {
	if len(values) != size(p.shape) {
		return fmt.Errorf("bert: %d values for %s of shape %v", len(values), p.name, p.shape)
	}
	s.NoGrad(func() { s.Copy(p.value, s.FromFloats(values, int64s(p.shape)...)) })
	return s.Err()
}

type layer struct {
	query, key, value, out affine
	attentionNorm          affine
	up, down               affine
	norm                   affine
}

// namedShape is a parameter's name in a Hugging Face folder, without the prefix "bert.", and its shape.
type namedShape struct {
	name  string
	shape []int
}

// parameterShapes lists the weights that a network of this configuration consists of. The pooler is not among them: no
// sentence embedding reads it.
func parameterShapes(c Config) []namedShape {
	h, f := c.HiddenSize, c.IntermediateSize
	shapes := []namedShape{
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
			shapes = append(shapes, namedShape{prefix + "weight", weight}, namedShape{prefix + "bias", []int{m.out}})
		}
	}
	return shapes
}

// newNetwork puts weights on the runtime's device. read returns the values of a parameter of parameterShapes.
func newNetwork(ctx context.Context, rt *torch.Runtime, c Config, read func(name string, shape []int) ([]float32, error)) (*network, error) {
	n := &network{config: c}
	err := rt.Run(ctx, func(s *torch.Scope) error {
		for _, p := range parameterShapes(c) {
			values, err := read(p.name, p.shape)
			if err != nil {
				return err
			}
			t := s.FromFloats(values, int64s(p.shape)...)
			if t == nil {
				return fmt.Errorf("%s: %w", p.name, s.Err())
			}
			n.params = append(n.params, &parameter{name: p.name, shape: p.shape, value: t})
		}
		for _, p := range n.params {
			s.RequireGrad(p.value)
		}
		if s.Err() != nil {
			return s.Err()
		}
		for _, p := range n.params {
			s.Keep(p.value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n.wire()
	return n, nil
}

// wire gives the forward pass its parameters by place, in the order of parameterShapes.
func (n *network) wire() {
	rest := n.params
	next := func() *parameter {
		p := rest[0]
		rest = rest[1:]
		return p
	}
	pair := func() affine {
		weight := next()
		return affine{weight: weight, bias: next()}
	}
	n.words, n.positions, n.types, n.norm = next(), next(), next(), pair()
	for range n.config.Layers {
		l := layer{query: pair(), key: pair(), value: pair(), out: pair()}
		l.attentionNorm, l.up, l.down, l.norm = pair(), pair(), pair(), pair()
		n.layers = append(n.layers, l)
	}
}

// clone copies the weights, not the moments.
func (n *network) clone(ctx context.Context, rt *torch.Runtime) (*network, error) {
	values := make(map[string][]float32, len(n.params))
	err := rt.Run(ctx, func(s *torch.Scope) error {
		for _, p := range n.params {
			values[p.name] = s.Floats(p.value)
		}
		return s.Err()
	})
	if err != nil {
		return nil, err
	}
	return newNetwork(ctx, rt, n.config, func(name string, _ []int) ([]float32, error) { return values[name], nil })
}

// free gives back all of the network's tensors.
func (n *network) free(s *torch.Scope) {
	for _, p := range n.params {
		s.Free(p.value, p.first, p.second)
		p.value, p.first, p.second = nil, nil, nil
	}
}

// batch is a rectangle of token ids, padded with pad up to the longest text.
type batch struct {
	rows, width int
	ids         []int64 // [rows x width]
	lengths     []int
}

func newBatch(texts [][]int32, pad int32) batch {
	b := batch{rows: len(texts), lengths: make([]int, len(texts))}
	for i, ids := range texts {
		b.lengths[i] = len(ids)
		b.width = max(b.width, len(ids))
	}
	b.ids = make([]int64, 0, b.rows*b.width)
	for _, ids := range texts {
		for _, id := range ids {
			b.ids = append(b.ids, int64(id))
		}
		for range b.width - len(ids) {
			b.ids = append(b.ids, int64(pad))
		}
	}
	return b
}

func (b batch) padded() bool { return slices.Min(b.lengths) < b.width }

// masked is far below every attention score, yet finite in bfloat16 too.
const masked = -1e30

// forward returns the L2-normalised embeddings [rows x hidden] in float32. Matrix products are computed in precision,
// all else in float32, as autocast does.
func (n *network) forward(s *torch.Scope, b batch, pooling Pooling, precision torch.Type) torch.Tensor {
	x := s.Sub(func(s *torch.Scope) torch.Tensor { return n.embed(s, b) })
	mask := attentionMask(s, b, precision)
	for _, l := range n.layers {
		x = n.replace(s, x, func(s *torch.Scope) torch.Tensor { return n.attend(s, l, x, mask, b, precision) })
		x = n.replace(s, x, func(s *torch.Scope) torch.Tensor { return n.feedForward(s, l, x, precision) })
	}
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		pooled := pool(s, x, b, pooling)
		// The floor is that of torch.nn.functional.normalize.
		return s.Div(pooled, s.ClampMin(s.Norm(pooled, 1), 1e-12))
	})
}

// replace computes the next hidden state and frees the one it replaces; a graph keeps what it needs.
func (n *network) replace(s *torch.Scope, x torch.Tensor, f func(*torch.Scope) torch.Tensor) torch.Tensor {
	next := s.Sub(f)
	if next != nil {
		s.Free(s.Keep(x))
	}
	return next
}

func (n *network) embed(s *torch.Scope, b batch) torch.Tensor {
	rows, width, h := int64(b.rows), int64(b.width), int64(n.config.HiddenSize)
	words := s.Embedding(n.words.value, s.FromInts(b.ids, rows, width))
	positions := s.Narrow(n.positions.value, 0, 0, width)
	first := s.Narrow(n.types.value, 0, 0, 1)
	return n.layerNorm(s, s.Add(s.Add(words, s.Reshape(first, 1, 1, h)), s.Reshape(positions, 1, width, h)), n.norm)
}

func (n *network) attend(s *torch.Scope, l layer, x, mask torch.Tensor, b batch, precision torch.Type) torch.Tensor {
	rows, width, h := int64(b.rows), int64(b.width), int64(n.config.HiddenSize)
	heads := int64(n.config.Heads)
	in := s.As(x, precision)
	project := func(a affine) torch.Tensor {
		return s.Transpose(s.Reshape(linear(s, in, a, precision), rows, width, heads, h/heads), 1, 2)
	}
	mixed := s.Attention(project(l.query), project(l.key), project(l.value), mask, 1/math.Sqrt(float64(h/heads)))
	mixed = s.Reshape(s.Transpose(mixed, 1, 2), rows, width, h)
	return n.layerNorm(s, s.Add(s.As(linear(s, mixed, l.out, precision), torch.Float32), x), l.attentionNorm)
}

func (n *network) feedForward(s *torch.Scope, l layer, x torch.Tensor, precision torch.Type) torch.Tensor {
	up := n.activate(s, linear(s, s.As(x, precision), l.up, precision))
	return n.layerNorm(s, s.Add(s.As(linear(s, up, l.down, precision), torch.Float32), x), l.norm)
}

func (n *network) activate(s *torch.Scope, x torch.Tensor) torch.Tensor {
	switch n.config.Activation {
	case "relu":
		return s.Relu(x)
	case "gelu_new", "gelu_pytorch_tanh":
		return s.GeluTanh(x)
	default: // the reading of the folder lets only "gelu" through
		return s.Gelu(x)
	}
}

func (n *network) layerNorm(s *torch.Scope, x torch.Tensor, a affine) torch.Tensor {
	return s.LayerNorm(x, a.weight.value, a.bias.value, int64(n.config.HiddenSize), n.config.LayerNormEps)
}

// linear casts the weights at each use, so that the gradient reaches the float32 ones.
func linear(s *torch.Scope, x torch.Tensor, a affine, precision torch.Type) torch.Tensor {
	return s.Linear(x, s.As(a.weight.value, precision), s.As(a.bias.value, precision))
}

// attentionMask is 0 where a key is a token and masked where it is padding, [rows x 1 x 1 x width]; LibTorch's attention
// needs one even where nothing is masked, since gotch cannot say none.
func attentionMask(s *torch.Scope, b batch, precision torch.Type) torch.Tensor {
	if !b.padded() {
		return s.Zeros(precision, 1, 1, 1, int64(b.width))
	}
	mask := make([]float32, b.rows*b.width)
	for i, length := range b.lengths {
		for j := length; j < b.width; j++ {
			mask[i*b.width+j] = masked
		}
	}
	return s.As(s.FromFloats(mask, int64(b.rows), 1, 1, int64(b.width)), precision)
}

func pool(s *torch.Scope, x torch.Tensor, b batch, pooling Pooling) torch.Tensor {
	if pooling == CLS {
		return s.Select(x, 1, 0)
	}
	weights := make([]float32, b.rows*b.width)
	for i, length := range b.lengths {
		for j := range length {
			weights[i*b.width+j] = 1 / float32(length)
		}
	}
	return s.SumDim(s.Mul(x, s.FromFloats(weights, int64(b.rows), int64(b.width), 1)), 1)
}

func int64s(shape []int) []int64 {
	out := make([]int64, len(shape))
	for i, d := range shape {
		out[i] = int64(d)
	}
	return out
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
