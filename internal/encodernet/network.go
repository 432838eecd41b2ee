package encodernet

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/internal/torch"
)

// Network is a network's weights on the device, with the moments of AdamW once it has been trained.
type Network struct {
	Config Config
	Params Parameters // in the order of Shapes

	names                   names
	layers                  []layer
	words, positions, types *Parameter // nil: none
	relative                *Parameter
	norm, final             affine
	rotary                  rotaryTables
}

// affine is a matrix or the scale of a normalisation, with its bias. Either is nil where the architecture has none.
type affine struct{ weight, bias *Parameter }

type layer struct {
	query, key, value, qkv affine
	queryNorm, keyNorm     affine
	out                    affine
	attentionNorm          affine
	up, gate, packed, down affine // packed: up and gate in one matrix
	norm                   affine
	local                  bool
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

// wire gives the forward pass its parameters by name.
func (n *Network) wire() {
	byName := make(map[string]*Parameter, len(n.Params))
	for _, p := range n.Params {
		byName[p.Name] = p
	}
	prefix := ""
	pair := func(name string) affine {
		return affine{byName[prefix+name+".weight"], byName[prefix+name+".bias"]}
	}
	m := n.Config.Family().names
	n.names = m
	n.words, n.positions, n.types = pair(m.words).weight, pair(m.positions).weight, pair(m.types).weight
	n.relative, n.norm, n.final = pair(m.relative).weight, pair(m.norm), pair(m.final)
	for i := range n.Config.Layers {
		prefix = fmt.Sprintf(m.layer, i)
		n.layers = append(n.layers, layer{
			query: pair(m.query), key: pair(m.key), value: pair(m.value), qkv: pair(m.qkv),
			queryNorm: pair(m.queryNorm), keyNorm: pair(m.keyNorm), out: pair(m.out),
			attentionNorm: pair(m.attentionNorm), up: pair(m.up), gate: pair(m.gate), packed: pair(m.upGate + m.gateUp),
			down: pair(m.down), norm: pair(m.feedForwardNorm), local: n.Config.local(i),
		})
	}
}
