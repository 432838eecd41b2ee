package onnx

import (
	"fmt"
	"strings"
)

// Parameter is a parameter of the exported network, under its name in PyTorch.
type Parameter struct {
	Name   string
	Shape  []int
	Values []float32 // row-major
}

// anonymous is the prefix of names that the exporter invents.
const anonymous = "onnx::"

// Parameters returns the floating-point parameters as PyTorch holds them. x W + b in the graph, with a constant W [in
// x out], is a linear layer: its weight is [out x in] and has the name of the bias with "weight" for "bias". A matrix
// product with an anonymous constant and without a bias is an error.
func (m *Model) Parameters() ([]Parameter, error) {
	linear, err := m.linearNames()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	var parameters []Parameter
	for _, constant := range m.names {
		t := m.tensors[constant]
		if !t.isFloat() {
			continue // positions and the like
		}
		values, err := m.Floats(constant)
		if err != nil {
			return nil, err
		}
		names, ok := linear[constant]
		if !ok {
			if strings.HasPrefix(constant, anonymous) {
				return nil, fmt.Errorf("%s: nothing in the graph says which parameter %q of shape %v is", m.path, constant, t.shape)
			}
			parameters = append(parameters, Parameter{constant, t.shape, values})
			continue
		}
		values = transpose(values, t.shape[0], t.shape[1])
		for _, name := range names {
			parameters = append(parameters, Parameter{name, []int{t.shape[1], t.shape[0]}, values})
		}
	}
	seen := map[string]bool{}
	for _, p := range parameters {
		if seen[p.Name] {
			return nil, fmt.Errorf("%s: two constants are parameter %q", m.path, p.Name)
		}
		seen[p.Name] = true
	}
	return parameters, nil
}

// linearNames returns, by constant, the names of the weights that it holds: one for each layer that uses it.
func (m *Model) linearNames() (map[string][]string, error) {
	biases := m.biases()
	names := map[string][]string{}
	for _, n := range m.nodes {
		if n.Op == "Gemm" {
			return nil, fmt.Errorf("node %q: Gemm is not supported; MatMul and Add are", n.Name)
		}
		if n.Op != "MatMul" || len(n.Inputs) != 2 || len(n.Outputs) != 1 {
			continue
		}
		constant := n.Inputs[1]
		t, ok := m.tensors[constant]
		if !ok || !t.isFloat() {
			continue // a product of two activations
		}
		if len(t.shape) != 2 {
			return nil, fmt.Errorf("node %q: weight %q has shape %v, not two dimensions", n.Name, constant, t.shape)
		}
		name := constant
		if bias, ok := biases[n.Outputs[0]]; ok {
			name = strings.TrimSuffix(bias, "bias") + "weight"
		} else if strings.HasPrefix(constant, anonymous) {
			return nil, fmt.Errorf("node %q: weight %q has neither a name nor a bias that names it", n.Name, constant)
		}
		names[constant] = append(names[constant], name)
	}
	return names, nil
}

// biases returns the names of constants named ...bias by the value to which the graph adds them.
func (m *Model) biases() map[string]string {
	biases := map[string]string{}
	for _, n := range m.nodes {
		if n.Op != "Add" || len(n.Inputs) != 2 {
			continue
		}
		for i, name := range n.Inputs {
			if _, ok := m.tensors[name]; ok && strings.HasSuffix(name, ".bias") {
				biases[n.Inputs[1-i]] = name
			}
		}
	}
	return biases
}

func transpose(values []float32, rows, cols int) []float32 {
	out := make([]float32, len(values))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = values[i*cols+j]
		}
	}
	return out
}
