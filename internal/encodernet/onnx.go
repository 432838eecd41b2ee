package encodernet

import (
	"fmt"
	"math"

	"github.com/retort-ir/retort/internal/onnx"
)

// The inputs of a network in ONNX, as transformers names them.
const (
	inputIDs      = "input_ids"
	attentionMask = "attention_mask"
	tokenTypeIDs  = "token_type_ids"
)

// The dimensions of those inputs.
var (
	batchDim    = onnx.Dim{Symbol: "batch_size"}
	sequenceDim = onnx.Dim{Symbol: "sequence_length"}
)

// GraphStates are what a network in ONNX computes for a batch of token ids, padded on either side.
type GraphStates struct {
	Hidden    onnx.Value // the last layer's states [batch x sequence x hidden]
	Mask      onnx.Value // 1 for a token, 0 for padding, [batch x sequence] in float32
	Positions onnx.Value // 0, 1, ... in int64, [sequence]
}

// AddTo adds the network and its inputs to a graph. It computes what Network.Hidden computes in float32. The graph calls
// read when it is saved.
func (c Config) AddTo(g *onnx.Graph, read ReadFunc) GraphStates {
	b := &graphBuilder{Graph: g, c: c, names: c.Family().names, read: read}
	dims := []onnx.Dim{batchDim, sequenceDim}
	b.ids = g.Ints64(inputIDs, dims...)
	mask := g.OpWith("Cast", []onnx.Attribute{onnx.Int("to", onnx.TypeFloat)}, g.Ints64(attentionMask, dims...))
	// A network of one segment needs no ids of segments, and its tokenizer gives none.
	if c.TypeVocabSize > 1 {
		b.segments = g.Ints64(tokenTypeIDs, dims...)
	}
	length := g.OpWith("Gather", []onnx.Attribute{onnx.Int("axis", 0)}, g.Op("Shape", b.ids), g.Int(1))
	b.positions = g.Op("Range", g.Int(0), length, g.Int(1))
	b.prepare(mask)
	return GraphStates{Hidden: b.hidden(), Mask: mask, Positions: b.positions}
}

// DescribeStates makes the states the output that optimum and sentence-transformers read.
func (c Config) DescribeStates(g *onnx.Graph, states onnx.Value) {
	g.Output("last_hidden_state", states, batchDim, sequenceDim, onnx.Dim{Size: c.HiddenSize})
}

// DescribeVectors makes vectors of a width an output.
func DescribeVectors(g *onnx.Graph, vectors onnx.Value, width int) {
	g.Output("sentence_embedding", vectors, batchDim, onnx.Dim{Size: width})
}

// graphBuilder builds a network's graph, operation by operation like Network.Hidden.
type graphBuilder struct {
	*onnx.Graph
	c      Config
	names  names
	read   ReadFunc
	prefix string // of a layer's names

	ids, segments, positions onnx.Value
	full, local              onnx.Value // added to the scores of attention, [batch or 1 x heads or 1 x 1 or sequence x sequence]
	turn, localTurn          graphTurn
}

// graphTurn holds the cosines and sines of rotary positions, [sequence x 1 x head size]; the zero value turns nothing.
type graphTurn struct{ cos, sin onnx.Value }

func (b *graphBuilder) prepare(mask onnx.Value) {
	// [batch x 1 x 1 x sequence]
	padding := b.Op("Unsqueeze", b.Op("Mul", b.Op("Sub", b.Float(1), mask), b.Float(masked)), b.Ints(1, 2))
	b.full = padding
	if b.c.RelativeBuckets > 0 {
		b.full = b.Op("Add", b.full, b.relativeBias())
	}
	if b.c.Causal {
		b.full = b.Op("Add", b.full, b.unless(b.Op("Greater", b.distances(), b.Int(0))))
	}
	b.turn = b.rotary(b.c.Rotary)
	b.local, b.localTurn = b.full, b.turn
	if b.c.Local != nil {
		far := b.Op("Greater", b.Op("Abs", b.distances()), b.Int(int64(b.c.Window)))
		b.local = b.Op("Add", b.full, b.unless(far))
		b.localTurn = b.rotary(b.c.LocalRotary)
	}
}

// distances returns how far a key is behind a query, [query x key].
func (b *graphBuilder) distances() onnx.Value {
	return b.Op("Sub", b.Op("Unsqueeze", b.positions, b.Ints(0)), b.Op("Unsqueeze", b.positions, b.Ints(1)))
}

// unless is masked where the condition holds.
func (b *graphBuilder) unless(condition onnx.Value) onnx.Value {
	return b.Op("Where", condition, b.Float(masked), b.Float(0))
}

// relativeBias returns MPNet's bias by distance, [heads x sequence x sequence].
func (b *graphBuilder) relativeBias() onnx.Value {
	const farthest = 128 // All distances beyond it share a bucket.
	var table []int64
	for d := -farthest; d <= farthest; d++ {
		table = append(table, int64(bucket(d)))
	}
	near := b.Op("Max", b.Op("Min", b.distances(), b.Int(farthest)), b.Int(-farthest))
	byDistance := b.gather(b.weight(b.names.relative+".weight", b.c.RelativeBuckets, b.c.Heads), b.Ints(table...))
	return b.transpose(b.gather(byDistance, b.Op("Add", near, b.Int(farthest))), 2, 0, 1)
}

func (b *graphBuilder) rotary(r Rotary) graphTurn {
	if r.Theta == 0 {
		return graphTurn{}
	}
	d := b.c.headSize()
	frequencies := make([]float32, d/2)
	for i := range frequencies {
		frequencies[i] = r.frequency(i, d)
	}
	positions := b.OpWith("Cast", []onnx.Attribute{onnx.Int("to", onnx.TypeFloat)}, b.positions)
	angles := b.Op("Mul", b.Op("Unsqueeze", positions, b.Ints(1, 2)), b.Floats(frequencies...))
	cos, sin := b.Op("Cos", angles), b.Op("Sin", angles)
	return graphTurn{cos: b.concat(-1, cos, cos), sin: b.concat(-1, b.Op("Neg", sin), sin)}
}

func (b *graphBuilder) hidden() onnx.Value {
	x := b.embed()
	for i := range b.c.Layers {
		b.prefix = fmt.Sprintf(b.names.layer, i)
		x = b.attend(i, x)
		x = b.feedForward(x)
	}
	b.prefix = ""
	if b.names.preNorm() {
		x = b.normalize(x, b.names.final, b.c.HiddenSize)
	}
	return x
}

func (b *graphBuilder) embed() onnx.Value {
	n, h := b.names, b.c.HiddenSize
	x := b.gather(b.weight(n.words+".weight", b.c.VocabSize, h), b.ids)
	if n.types != "" && b.c.TypeVocabSize > 0 {
		segments := b.segments
		if segments == "" {
			segments = b.Int(0)
		}
		x = b.Op("Add", x, b.gather(b.weight(n.types+".weight", b.c.TypeVocabSize, h), segments))
	}
	if n.positions != "" {
		rows := b.Op("Add", b.positions, b.Int(int64(b.c.FirstPosition)))
		x = b.Op("Add", x, b.gather(b.weight(n.positions+".weight", b.c.MaxPositions, h), rows))
	}
	if n.norm == "" {
		return x
	}
	return b.normalize(x, n.norm, h)
}

func (b *graphBuilder) attend(layer int, x onnx.Value) onnx.Value {
	in := x
	if b.names.preNorm() && (layer > 0 || !b.names.firstWithout) {
		in = b.normalize(x, b.names.attentionNorm, b.c.HiddenSize)
	}
	mask := b.full
	if b.c.local(layer) {
		mask = b.local
	}
	q, k, v := b.project(layer, in)
	d := b.c.headSize()
	q = b.Op("Mul", q, b.Float(float32(1/math.Sqrt(float64(d)))))
	scores := b.Op("Add", b.Op("MatMul", b.transpose(q, 0, 2, 1, 3), b.transpose(k, 0, 2, 3, 1)), mask)
	shares := b.OpWith("Softmax", []onnx.Attribute{onnx.Int("axis", -1)}, scores)
	mixed := b.transpose(b.Op("MatMul", shares, b.transpose(v, 0, 2, 1, 3)), 0, 2, 1, 3)
	mixed = b.Op("Reshape", mixed, b.Ints(0, 0, int64(b.c.Heads*d)))
	out := b.linear(mixed, b.names.out, b.c.HiddenSize, b.c.Heads*d, b.c.Unbiased.Attention)
	sum := b.Op("Add", out, x)
	if b.names.preNorm() {
		return sum
	}
	return b.normalize(sum, b.names.attentionNorm, b.c.HiddenSize)
}

// project returns queries, keys and values [batch x sequence x heads x head size].
func (b *graphBuilder) project(layer int, x onnx.Value) (q, k, v onnx.Value) {
	n, h, d := b.names, b.c.HiddenSize, b.c.headSize()
	ofQueries, ofKeys := b.c.Heads*d, b.c.kvHeads()*d
	unbiased := b.c.Unbiased.Attention
	if n.qkv != "" {
		parts := b.Split(b.linear(x, n.qkv, ofQueries+2*ofKeys, h, unbiased), -1, ofQueries, ofKeys, ofKeys)
		q, k, v = parts[0], parts[1], parts[2]
	} else {
		q = b.linear(x, n.query, ofQueries, h, unbiased)
		k = b.linear(x, n.key, ofKeys, h, unbiased)
		v = b.linear(x, n.value, ofKeys, h, unbiased)
	}
	q, k, v = b.heads(q, b.c.Heads), b.heads(k, b.c.kvHeads()), b.heads(v, b.c.kvHeads())
	if n.queryNorm != "" {
		q = b.normalize(q, n.queryNorm, d)
	}
	if n.keyNorm != "" {
		k = b.normalize(k, n.keyNorm, d)
	}
	turn := b.turn
	if b.c.local(layer) {
		turn = b.localTurn
	}
	return b.apply(turn, q), b.repeat(b.apply(turn, k)), b.repeat(v)
}

func (b *graphBuilder) heads(x onnx.Value, heads int) onnx.Value {
	return b.Op("Reshape", x, b.Ints(0, 0, int64(heads), int64(b.c.headSize())))
}

func (b *graphBuilder) apply(t graphTurn, x onnx.Value) onnx.Value {
	if t.cos == "" {
		return x
	}
	half := b.c.headSize() / 2
	halves := b.Split(x, -1, half, half)
	swapped := b.concat(-1, halves[1], halves[0])
	return b.Op("Add", b.Op("Mul", x, t.cos), b.Op("Mul", swapped, t.sin))
}

// repeat gives each head of queries its own copy of the keys or values that it shares.
func (b *graphBuilder) repeat(x onnx.Value) onnx.Value {
	times := b.c.Heads / b.c.kvHeads()
	if times == 1 {
		return x
	}
	apart := b.Op("Unsqueeze", x, b.Ints(3))
	copies := make([]onnx.Value, times)
	for i := range copies {
		copies[i] = apart
	}
	return b.heads(b.concat(3, copies...), b.c.Heads)
}

func (b *graphBuilder) feedForward(x onnx.Value) onnx.Value {
	n, h, f := b.names, b.c.HiddenSize, b.c.IntermediateSize
	in := x
	if n.preNorm() {
		in = b.normalize(x, n.feedForwardNorm, h)
	}
	var up onnx.Value
	switch packed := n.upGate + n.gateUp; {
	case packed != "":
		parts := b.Split(b.linear(in, packed, 2*f, h, b.c.Unbiased.Up), -1, f, f)
		gate, value := parts[0], parts[1]
		if n.upGate != "" {
			gate, value = value, gate
		}
		up = b.Op("Mul", b.activate(gate), value)
	case n.gate != "":
		gate := b.activate(b.linear(in, n.gate, f, h, b.c.Unbiased.Up))
		up = b.Op("Mul", gate, b.linear(in, n.up, f, h, b.c.Unbiased.Up))
	default:
		up = b.activate(b.linear(in, n.up, f, h, b.c.Unbiased.Up))
	}
	sum := b.Op("Add", b.linear(up, n.down, h, f, b.c.Unbiased.Down), x)
	if n.preNorm() {
		return sum
	}
	return b.normalize(sum, n.feedForwardNorm, h)
}

func (b *graphBuilder) activate(x onnx.Value) onnx.Value {
	switch b.c.Activation {
	case "relu":
		return b.Op("Relu", x)
	case "gelu_new", "gelu_pytorch_tanh":
		return b.GeluTanh(x)
	case "silu", "swish":
		return b.Silu(x)
	default: // ReadConfig accepts no other than "gelu"
		return b.Gelu(x)
	}
}

// normalize normalises over the last dimension: the hidden size, or a head's.
func (b *graphBuilder) normalize(x onnx.Value, name string, width int) onnx.Value {
	scale := b.weight(name+".weight", width)
	switch b.c.Norm {
	case RMSNorm:
		square := b.OpWith("ReduceMean", []onnx.Attribute{onnx.Ints("axes", -1)}, b.Op("Mul", x, x))
		root := b.Op("Sqrt", b.Op("Add", square, b.Float(float32(b.c.LayerNormEps))))
		return b.Op("Mul", b.Op("Div", x, root), scale)
	case UnbiasedLayerNorm:
		return b.LayerNorm(x, scale, "", b.c.LayerNormEps)
	default:
		return b.LayerNorm(x, scale, b.weight(name+".bias", width), b.c.LayerNormEps)
	}
}

func (b *graphBuilder) weight(name string, shape ...int) onnx.Value {
	name = b.prefix + name
	return b.Weight(name, shape, func() ([]float32, error) { return b.read(name, shape) })
}

func (b *graphBuilder) linear(x onnx.Value, name string, out, in int, unbiased bool) onnx.Value {
	var bias onnx.Value
	if !unbiased {
		bias = b.weight(name+".bias", out)
	}
	name = b.prefix + name + ".weight"
	return b.Linear(x, name, out, in, func() ([]float32, error) { return b.read(name, []int{out, in}) }, bias)
}

func (b *graphBuilder) gather(table, rows onnx.Value) onnx.Value {
	return b.OpWith("Gather", []onnx.Attribute{onnx.Int("axis", 0)}, table, rows)
}

func (b *graphBuilder) transpose(x onnx.Value, order ...int) onnx.Value {
	return b.OpWith("Transpose", []onnx.Attribute{onnx.Ints("perm", order...)}, x)
}

func (b *graphBuilder) concat(axis int, parts ...onnx.Value) onnx.Value {
	return b.OpWith("Concat", []onnx.Attribute{onnx.Int("axis", axis)}, parts...)
}
