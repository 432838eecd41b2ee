package encodernet

import "fmt"

// names are what a family calls its weights, without ".weight" and ".bias". A weight without a name does not exist, so
// that the names say how layers are built: with a packed qkv or three matrices, with a gate or without, with which
// normalisations.
type names struct {
	words, positions, types string // embeddings
	norm                    string // of the embeddings
	relative                string // the bias of attention by distance
	layer                   string // the prefix of a layer's names, with %d

	query, key, value, qkv string
	queryNorm, keyNorm     string // of each head
	out                    string

	up, gate       string // down(activation(up)), or down(up * activation(gate))
	upGate, gateUp string // both in one matrix, in this order
	down           string

	// In a network with a final normalisation those of a layer come before attention and feed-forward, in any other after
	// them.
	attentionNorm   string
	feedForwardNorm string
	final           string
	firstWithout    bool // the first layer has no attentionNorm
}

func (n names) preNorm() bool { return n.final != "" }

// Shape is a parameter's name in a Hugging Face folder, without the prefix of a model with a head, and its shape.
type Shape struct {
	Name string
	Dims []int
}

// Shapes lists the weights that a network of this configuration consists of. Heads, such as BERT's pooler, are not
// among them.
func Shapes(c Config) []Shape {
	l := shapeList{c: c, names: c.Family().names}
	n, h := l.names, c.HiddenSize
	l.add(n.words, ".weight", c.VocabSize, h)
	l.add(n.positions, ".weight", c.MaxPositions, h)
	if c.TypeVocabSize > 0 {
		l.add(n.types, ".weight", c.TypeVocabSize, h)
	}
	l.norm(n.norm, h)
	l.add(n.relative, ".weight", c.RelativeBuckets, c.Heads)
	for i := range c.Layers {
		l.layer(i)
	}
	l.norm(n.final, h)
	return l.shapes
}

type shapeList struct {
	c      Config
	names  names
	prefix string // of the names
	shapes []Shape
}

func (l *shapeList) add(name, kind string, dims ...int) {
	if name != "" {
		l.shapes = append(l.shapes, Shape{l.prefix + name + kind, dims})
	}
}

func (l *shapeList) norm(name string, width int) {
	l.add(name, ".weight", width)
	if l.c.Norm == LayerNorm {
		l.add(name, ".bias", width)
	}
}

func (l *shapeList) linear(name string, out, in int, unbiased bool) {
	l.add(name, ".weight", out, in)
	if !unbiased {
		l.add(name, ".bias", out)
	}
}

// layer lists a layer's weights in the order in which wire takes them.
func (l *shapeList) layer(i int) {
	c, n, h := l.c, l.names, l.c.HiddenSize
	d, f := c.headSize(), c.IntermediateSize
	l.prefix = fmt.Sprintf(n.layer, i)
	l.linear(n.query, c.Heads*d, h, c.Unbiased.Attention)
	l.linear(n.key, c.kvHeads()*d, h, c.Unbiased.Attention)
	l.linear(n.value, c.kvHeads()*d, h, c.Unbiased.Attention)
	l.linear(n.qkv, (c.Heads+2*c.kvHeads())*d, h, c.Unbiased.Attention)
	l.add(n.queryNorm, ".weight", d)
	l.add(n.keyNorm, ".weight", d)
	l.linear(n.out, h, c.Heads*d, c.Unbiased.Attention)
	if i > 0 || !n.firstWithout {
		l.norm(n.attentionNorm, h)
	}
	l.linear(n.up, f, h, c.Unbiased.Up)
	l.linear(n.gate, f, h, c.Unbiased.Up)
	l.linear(n.upGate, 2*f, h, c.Unbiased.Up)
	l.linear(n.gateUp, 2*f, h, c.Unbiased.Up)
	l.linear(n.down, h, f, c.Unbiased.Down)
	l.norm(n.feedForwardNorm, h)
	l.prefix = ""
}
