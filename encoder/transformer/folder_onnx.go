package transformer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/onnx"
)

// onnxFile is the network's file in a Transformer's folder, where sentence-transformers and optimum look for it.
var onnxFile = filepath.Join("onnx", "model.onnx")

// ExportONNX writes the model to its own folder, as Save does, with each tower as onnx/model.onnx in place of
// model.safetensors. It needs no LibTorch. The folder loads in sentence-transformers with backend="onnx", and
// ReadFolder reads it; Open does not.
//
// The network is of opset 17, in float32. Its inputs are input_ids, attention_mask and, in a family with segments,
// token_type_ids: int64, [batch_size x sequence_length], padded on either side. Its outputs are last_hidden_state
// [batch_size x sequence_length x hidden size] and sentence_embedding [batch_size x Dim], which is pooled, has been
// through the folder's modules, and is cut and normalised, as Encode returns it. Weights of 2 GB and more are in
// onnx/model.onnx_data. As for Save, dir must not exist, or be empty or written by Retort, and cannot be the folder that
// f was read from.
func (f *Folder) ExportONNX(ctx context.Context, dir string) error {
	if f.Shared() && f.Query.promptTokens != f.Passage.promptTokens {
		return fmt.Errorf("%s: the pooling leaves out the prompts of queries and passages, which differ in length, so that "+
			"one network cannot encode both: export the tower of one role", f.Dir)
	}
	return folderWriter{Folder: f, onnx: true}.save(ctx, dir)
}

// writeONNX writes a tower's network to the folder of its Transformer.
func (w folderWriter) writeONNX(ctx context.Context, dir string, side *Side) (err error) {
	t := side.Tower
	config, err := encodernet.TrainedConfig(t.Dir, t.config.Family().Architecture)
	if err != nil {
		return err
	}
	if err := writeJSON(dir, configJSON, config); err != nil {
		return err
	}
	weights, err := t.openWeights()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, weights.Close()) }()
	var g onnx.Graph
	states := t.config.AddTo(&g, weights.Read)
	t.config.DescribeStates(&g, states.Hidden)
	encodernet.DescribeVectors(&g, w.graphVectors(&g, side, states), w.Dim())
	return g.Save(ctx, filepath.Join(dir, onnxFile))
}

// graphVectors adds to a graph what embed computes from the states of tokens.
func (f *Folder) graphVectors(g *onnx.Graph, side *Side, states encodernet.GraphStates) onnx.Value {
	t := side.Tower
	x := graphPool(g, t.Pooling, side.promptTokens, states)
	for i := range t.head {
		x = t.head[i].addTo(g, x, t.readHeadWeights)
	}
	if t.Normalize && f.similarity == modelfolder.Dot {
		x = graphNormalize(g, x, t.width())
	}
	if dim := f.Dim(); dim < t.width() {
		x = g.Split(x, -1, dim, t.width()-dim)[0]
	}
	if f.similarity == modelfolder.Dot {
		return x
	}
	return graphNormalize(g, x, f.Dim())
}

// graphNormalize divides rows of a width by their L2 norms, as normalize does.
func graphNormalize(g *onnx.Graph, x onnx.Value, width int) onnx.Value {
	mean := g.OpWith("ReduceMean", []onnx.Attribute{onnx.Ints("axes", 1)}, g.Op("Mul", x, x))
	norm := g.Op("Sqrt", g.Op("Mul", mean, g.Float(float32(width))))
	return g.Op("Div", x, g.Op("Max", norm, g.Float(1e-12)))
}

// graphPool adds pool to a graph.
func graphPool(g *onnx.Graph, pooling Pooling, skipped int, states encodernet.GraphStates) onnx.Value {
	p := &graphPooling{Graph: g, states: states, tokens: states.Mask}
	if skipped > 0 {
		p.tokens = p.where("Greater", float32(skipped))
	}
	var pooled []onnx.Value
	for _, mode := range pooling.modes() {
		pooled = append(pooled, p.pool(mode, skipped))
	}
	if len(pooled) == 1 {
		return pooled[0]
	}
	return g.OpWith("Concat", []onnx.Attribute{onnx.Int("axis", 1)}, pooled...)
}

// graphPooling pools in a graph.
type graphPooling struct {
	*onnx.Graph
	states  encodernet.GraphStates
	tokens  onnx.Value // 1 for those that count, else 0, [batch x sequence]
	numbers onnx.Value // of tokens from 1 on, without padding
}

func (p *graphPooling) pool(mode Pooling, skipped int) onnx.Value {
	switch mode {
	case Max:
		const outside = -1e30 // as in maximum
		masked := p.Op("Mul", p.Op("Sub", p.Float(1), p.tokens), p.Float(outside))
		x := p.Op("Add", p.states.Hidden, p.Op("Unsqueeze", masked, p.Ints(2)))
		return p.OpWith("ReduceMax", []onnx.Attribute{onnx.Ints("axes", 1), onnx.Int("keepdims", 0)}, x)
	case CLS:
		return p.squeeze(p.sum(p.where("Equal", float32(skipped+1))))
	case LastToken:
		last := p.count(p.states.Mask, p.states.Mask)
		return p.squeeze(p.sum(p.whereIs("Equal", p.Op("Squeeze", last, p.Ints(2)))))
	case WeightedMean:
		weights := p.Op("Mul", p.tokens, p.number())
		return p.squeeze(p.Op("Div", p.sum(weights), p.count(weights, p.tokens)))
	}
	n := p.Op("Max", p.count(p.tokens, p.tokens), p.Float(1e-9)) // a row of padding has no mean, but need not be NaN
	if mode == MeanSqrtLen {
		n = p.Op("Sqrt", n)
	}
	return p.squeeze(p.Op("Div", p.sum(p.tokens), n))
}

// where returns the tokens whose number satisfies a comparison.
func (p *graphPooling) where(comparison string, number float32) onnx.Value {
	return p.whereIs(comparison, p.Float(number))
}

func (p *graphPooling) whereIs(comparison string, number onnx.Value) onnx.Value {
	is := p.OpWith("Cast", []onnx.Attribute{onnx.Int("to", onnx.TypeFloat)}, p.Op(comparison, p.number(), number))
	return p.Op("Mul", is, p.states.Mask)
}

func (p *graphPooling) number() onnx.Value {
	if p.numbers == "" {
		p.numbers = p.Op("CumSum", p.states.Mask, p.Int(1))
	}
	return p.numbers
}

// sum returns the states' sums with the weights [batch x sequence]: [batch x 1 x hidden].
func (p *graphPooling) sum(weights onnx.Value) onnx.Value {
	return p.Op("MatMul", p.Op("Unsqueeze", weights, p.Ints(1)), p.states.Hidden)
}

// count returns the sums of weights of tokens, [batch x 1 x 1].
func (p *graphPooling) count(weights, tokens onnx.Value) onnx.Value {
	return p.Op("MatMul", p.Op("Unsqueeze", weights, p.Ints(1)), p.Op("Unsqueeze", tokens, p.Ints(2)))
}

func (p *graphPooling) squeeze(x onnx.Value) onnx.Value { return p.Op("Squeeze", x, p.Ints(1)) }

// addTo adds compute to a graph.
func (h *headModule) addTo(g *onnx.Graph, x onnx.Value, read encodernet.ReadFunc) onnx.Value {
	shapes := h.shapes()
	values := func(i int) func() ([]float32, error) {
		return func() ([]float32, error) { return read(shapes[i].Name, shapes[i].Dims) }
	}
	weight := func(i int) onnx.Value { return g.Weight(shapes[i].Name, shapes[i].Dims, values(i)) }
	switch h.kind {
	case "LayerNorm":
		return g.LayerNorm(x, weight(0), weight(1), layerNormEps)
	case "Dense":
		var bias onnx.Value
		if h.bias {
			bias = weight(1)
		}
		return graphActivations[h.activation](g, g.Linear(x, shapes[0].Name, h.out, h.in, values(0), bias))
	}
	return graphNormalize(g, x, h.in)
}

// graphActivations are those of activations.
var graphActivations = map[string]func(*onnx.Graph, onnx.Value) onnx.Value{
	"Identity": func(_ *onnx.Graph, x onnx.Value) onnx.Value { return x },
	"Tanh":     func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Op("Tanh", x) },
	"ReLU":     func(g *onnx.Graph, x onnx.Value) onnx.Value { return g.Op("Relu", x) },
	"GELU":     (*onnx.Graph).Gelu,
	"SiLU":     (*onnx.Graph).Silu,
	"Sigmoid":  (*onnx.Graph).Sigmoid,
}
