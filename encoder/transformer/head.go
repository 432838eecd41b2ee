package transformer

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/internal/weights"
)

// headModule is a module after the pooling: Dense, LayerNorm, or Normalize where another module follows.
type headModule struct {
	kind       string
	dir        string
	name       string // of its folder in a saved model, which its parameters' names begin with
	in, out    int    // widths of the vectors
	bias       bool   // of a Dense
	activation string // of a Dense, by the last name of its class in torch.nn
}

// readHead reads the modules that follow the pooling. A Normalize at the end is Tower.Normalize.
func (t *Tower) readHead(modules []modelfolder.Module) error {
	width := t.config.HiddenSize * len(t.Pooling.modes())
	for i, m := range modules {
		h := headModule{kind: m.Kind, dir: m.Dir, name: fmt.Sprintf("%d_%s", i+2, m.Kind), in: width, out: width}
		var err error
		switch m.Kind {
		case "Dense":
			err = h.readDense()
		case "LayerNorm":
			err = h.readLayerNorm()
		default: // Normalize
			if err = checkFile(filepath.Join(m.Dir, configJSON), normalizeSchema); err == nil && i == len(modules)-1 {
				t.Normalize = true
				return nil
			}
		}
		if err == nil {
			err = h.checkWeights()
		}
		if err != nil {
			return err
		}
		width = h.out
		t.head = append(t.head, h)
	}
	return nil
}

// width returns the width of the tower's vectors before they are cut.
func (t *Tower) width() int {
	if n := len(t.head); n > 0 {
		return t.head[n-1].out
	}
	return t.config.HiddenSize * len(t.Pooling.modes())
}

// readDense reads the configuration of a Dense. Without activation_function it is Tanh, as in sentence-transformers.
func (h *headModule) readDense() error {
	j, err := modelfolder.Read(filepath.Join(h.dir, configJSON))
	if err != nil {
		return err
	}
	if _, err := denseSchema.Check(j); err != nil {
		return err
	}
	h.bias = true
	class := "torch.nn.modules.activation.Tanh"
	for key, to := range map[string]any{"bias": &h.bias, "activation_function": &class} {
		if _, err := j.Get(key, to); err != nil {
			return err
		}
	}
	h.activation = lastName(class)
	if activations[h.activation] == nil || !strings.HasPrefix(class, "torch.nn.") {
		return j.Errorf("activation_function", "is %q; Identity, Tanh, ReLU, GELU, Sigmoid and SiLU of torch.nn are supported",
			class)
	}
	return h.readWidths(j, "in_features", "out_features")
}

func (h *headModule) readLayerNorm() error {
	j, err := modelfolder.Read(filepath.Join(h.dir, configJSON))
	if err != nil {
		return err
	}
	if _, err := layerNormSchema.Check(j); err != nil {
		return err
	}
	return h.readWidths(j, "dimension", "dimension")
}

// readWidths reads the widths of a module's input and output. The input must be what the module before it gives.
func (h *headModule) readWidths(j modelfolder.Settings, inKey, outKey string) error {
	in, out := 0, 0
	for key, to := range map[string]*int{inKey: &in, outKey: &out} {
		if _, err := j.Get(key, to); err != nil {
			return err
		}
	}
	if inKey == outKey {
		out = max(in, out)
		in = out
	}
	if in != h.in {
		return j.Errorf(inKey, "is %d; the vectors before this module have %d values", in, h.in)
	}
	if out < 1 {
		return j.Errorf(outKey, "is %d", out)
	}
	h.out = out
	return nil
}

// activations are those of a Dense.
var activations = map[string]func(*torch.Scope, torch.Tensor) torch.Tensor{
	"Identity": func(_ *torch.Scope, x torch.Tensor) torch.Tensor { return x },
	"Tanh":     (*torch.Scope).Tanh,
	"ReLU":     (*torch.Scope).Relu,
	"GELU":     (*torch.Scope).Gelu,
	"SiLU":     (*torch.Scope).Silu,
	"Sigmoid": func(s *torch.Scope, x torch.Tensor) torch.Tensor { // 1 / (1 + exp(-x)) = tanh(x / 2) / 2 + 1 / 2
		return s.Add(s.Scale(s.Tanh(s.Scale(x, .5)), .5), s.FromFloats([]float32{.5}, 1))
	},
}

// shapes lists a module's parameters in the order in which compute takes them.
func (h *headModule) shapes() []encodernet.Shape {
	switch {
	case h.kind == "LayerNorm":
		return []encodernet.Shape{
			{Name: h.name + ".norm.weight", Dims: []int{h.out}}, {Name: h.name + ".norm.bias", Dims: []int{h.out}},
		}
	case h.kind == "Dense" && h.bias:
		return []encodernet.Shape{
			{Name: h.name + ".linear.weight", Dims: []int{h.out, h.in}}, {Name: h.name + ".linear.bias", Dims: []int{h.out}},
		}
	case h.kind == "Dense":
		return []encodernet.Shape{{Name: h.name + ".linear.weight", Dims: []int{h.out, h.in}}}
	}
	return nil
}

// headShapes lists the parameters of all modules.
func (t *Tower) headShapes() []encodernet.Shape {
	var all []encodernet.Shape
	for _, h := range t.head {
		all = append(all, h.shapes()...)
	}
	return all
}

// isHead says whether a parameter belongs to a module after the pooling.
func (t *Tower) isHead(name string) bool {
	return slices.ContainsFunc(t.head, func(h headModule) bool {
		_, ok := h.inModule(name)
		return ok
	})
}

// inModule returns the parameter's name in its module's folder, and whether it belongs to this module.
func (h *headModule) inModule(name string) (string, bool) { return strings.CutPrefix(name, h.name+".") }

// checkWeights makes sure that the module's folder holds its parameters and nothing else.
func (h *headModule) checkWeights() (err error) {
	shapes := h.shapes()
	if len(shapes) == 0 {
		return nil
	}
	f, err := weights.Open(h.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	known := map[string]bool{}
	for _, p := range shapes {
		name, _ := h.inModule(p.Name)
		if err := f.Check(name, p.Dims); err != nil {
			return err
		}
		known[name] = true
	}
	for _, name := range f.Names() {
		if !known[name] {
			return fmt.Errorf("%s: tensor %q has no place in a %s by %s", f.Path(name), name, h.kind, configJSON)
		}
	}
	return nil
}

// readHeadWeights is an encodernet.ReadFunc for the parameters of the head.
func (t *Tower) readHeadWeights(name string, shape []int) (values []float32, err error) {
	for _, h := range t.head {
		inner, ok := h.inModule(name)
		if !ok {
			continue
		}
		f, err := weights.Open(h.dir)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		return f.Read(inner, shape)
	}
	return nil, fmt.Errorf("%s: no module has the parameter %q", t.Dir, name)
}

// layerNormEps is the default of torch.nn.LayerNorm, which the configuration of the module LayerNorm cannot change.
const layerNormEps = 1e-5

// compute applies the module to x [rows x in], in float32. It takes the module's parameters from params and returns the
// rest of them.
func (h *headModule) compute(s *torch.Scope, x torch.Tensor, params encodernet.Parameters,
) (torch.Tensor, encodernet.Parameters) {
	switch {
	case h.kind == "LayerNorm":
		return s.LayerNorm(x, params[0].Value, params[1].Value, int64(h.out), layerNormEps), params[2:]
	case h.kind == "Dense" && h.bias:
		return activations[h.activation](s, s.Linear(x, params[0].Value, params[1].Value)), params[2:]
	case h.kind == "Dense":
		return activations[h.activation](s, s.MatMul(x, s.Transpose(params[0].Value, 0, 1))), params[1:]
	}
	return normalize(s, x), params
}

// write writes the module's folder. trained holds all parameters of the tower; nil stands for those of the folder.
func (h *headModule) write(dir string, t *Tower, trained []safetensors.Tensor) error {
	var config map[string]any
	switch h.kind {
	case "Dense":
		kind := "activation"
		if h.activation == "Identity" {
			kind = "linear"
		}
		config = map[string]any{
			"in_features": h.in, "out_features": h.out, "bias": h.bias,
			"activation_function": fmt.Sprintf("torch.nn.modules.%s.%s", kind, h.activation),
		}
	case "LayerNorm":
		config = map[string]any{"dimension": h.out}
	}
	if config == nil {
		return writeJSON(dir, configJSON, map[string]any{})
	}
	if err := writeJSON(dir, configJSON, config); err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for _, p := range h.shapes() {
		values, err := t.headValues(p, trained)
		if err != nil {
			return err
		}
		name, _ := h.inModule(p.Name)
		tensors = append(tensors, safetensors.Tensor{Name: name, Shape: p.Dims, Values: values})
	}
	return atomicfile.Write(filepath.Join(dir, weightsFile), func(w io.Writer) error {
		return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
	})
}

func (t *Tower) headValues(p encodernet.Shape, trained []safetensors.Tensor) ([]float32, error) {
	for _, now := range trained {
		if now.Name == p.Name {
			return now.Values, nil
		}
	}
	return t.readHeadWeights(p.Name, p.Dims)
}
