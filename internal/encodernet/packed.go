package encodernet

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/parallel"
)

// Packed is a network that computes in pure Go and cannot learn. Its matrices are packed for package kernel. It is safe
// for concurrent use.
type Packed struct {
	Config Config

	preNorm                 bool
	layers                  []packedLayer
	words, positions, types []float32   // [rows x hidden]; nil: none
	relative                [][]float32 // the bias of attention, [heads][2 farthest + 1], by distance from query to key
	norm, final             scale
	rotary                  rotaryTables
	scratch                 sync.Pool // of *scratch
}

// scale is the weight and bias of a normalisation. Either is nil where the architecture has none.
type scale struct{ weight, bias []float32 }

type packedLayer struct {
	qkv                 *kernel.Packed // queries, keys and values, in this order
	queryNorm, keyNorm  scale
	out                 *kernel.Packed
	attentionNorm, norm scale
	up                  *kernel.Packed // the gate first, where there is one
	gated               bool
	down                *kernel.Packed
	local               bool
}

// NewPacked reads and packs the weights of a network. The embeddings that read returns stay in use until the network is
// no longer used. Other weights may be gone once NewPacked has returned.
func NewPacked(ctx context.Context, c Config, read ReadFunc) (*Packed, error) {
	shapes := map[string][]int{}
	for _, s := range Shapes(c) {
		shapes[s.Name] = s.Dims
	}
	m := c.Family().names
	r := &packer{config: c, names: m, shapes: shapes, read: read}
	n := &Packed{Config: c, preNorm: m.preNorm(), layers: make([]packedLayer, c.Layers)}
	n.words, n.positions, n.types = r.values(m.words+".weight"), r.values(m.positions+".weight"), r.values(m.types+".weight")
	n.norm, n.final = r.scale(m.norm), r.scale(m.final)
	n.relative = relativeBias(r.values(m.relative+".weight"), c.Heads)
	if r.err != nil {
		return nil, r.err
	}
	err := parallel.Each(ctx, c.Layers, func(_, i int) error {
		r := &packer{config: c, names: m, prefix: fmt.Sprintf(m.layer, i), shapes: shapes, read: read}
		n.layers[i] = r.layer(c.local(i))
		return r.err
	})
	if err != nil {
		return nil, err
	}
	n.scratch.New = func() any { return &scratch{} }
	return n, nil
}

// packer reads weights by name up to the first error.
type packer struct {
	config Config
	names  names
	prefix string // of the names
	shapes map[string][]int
	read   ReadFunc
	err    error
}

// values returns the values of a weight, nil if the network has none of this name.
func (r *packer) values(name string) []float32 {
	shape, ok := r.shapes[r.prefix+name]
	if !ok || r.err != nil {
		return nil
	}
	values, err := r.read(r.prefix+name, shape)
	r.err = err
	return values
}

// scale copies its weights, which are small.
func (r *packer) scale(name string) scale {
	return scale{slices.Clone(r.values(name + ".weight")), slices.Clone(r.values(name + ".bias"))}
}

// linear packs the rows of several matrices as one. It is nil if the network has none of these names.
func (r *packer) linear(names ...string) *kernel.Packed {
	var weights, bias []float32
	in := 0
	for i, name := range names {
		w, b := r.values(name+".weight"), r.values(name+".bias")
		if w == nil {
			return nil
		}
		if i == 0 {
			weights, bias, in = w, b, r.shapes[r.prefix+name+".weight"][1]
			continue
		}
		weights, bias = slices.Concat(weights, w), slices.Concat(bias, b)
	}
	return kernel.Pack(weights, len(weights)/in, in, bias)
}

func (r *packer) layer(local bool) packedLayer {
	m := r.names
	l := packedLayer{
		qkv: r.linear(m.qkv), queryNorm: r.scale(m.queryNorm), keyNorm: r.scale(m.keyNorm), out: r.linear(m.out),
		attentionNorm: r.scale(m.attentionNorm), norm: r.scale(m.feedForwardNorm), down: r.linear(m.down), local: local,
		gated: m.gate+m.gateUp+m.upGate != "",
	}
	if m.qkv == "" {
		l.qkv = r.linear(m.query, m.key, m.value)
	}
	switch {
	case m.gate != "":
		l.up = r.linear(m.gate, m.up)
	case m.gateUp != "":
		l.up = r.linear(m.gateUp)
	case m.upGate != "":
		l.up = r.swapped(m.upGate)
	default:
		l.up = r.linear(m.up)
	}
	return l
}

// swapped packs a matrix with its halves of rows in the other order.
func (r *packer) swapped(name string) *kernel.Packed {
	swap := func(x []float32) []float32 { return slices.Concat(x[len(x)/2:], x[:len(x)/2]) }
	w, b := r.values(name+".weight"), r.values(name+".bias")
	if w == nil {
		return nil
	}
	in := r.shapes[r.prefix+name+".weight"][1]
	w = swap(w)
	if b != nil {
		b = swap(b)
	}
	return kernel.Pack(w, len(w)/in, in, b)
}
