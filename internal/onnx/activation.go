package onnx

import "math"

// LayerNorm normalises over the last dimension; bias may be "".
func (g *Graph) LayerNorm(x, scale, bias Value, eps float64) Value {
	inputs := []Value{x, scale}
	if bias != "" {
		inputs = append(inputs, bias)
	}
	return g.OpWith("LayerNormalization", []Attribute{Int("axis", -1), Float("epsilon", eps)}, inputs...)
}

// Gelu returns x Φ(x) (Hendrycks and Gimpel 2016, arXiv 1606.08415), in the operations that onnxruntime recognises.
func (g *Graph) Gelu(x Value) Value {
	erf := g.Op("Erf", g.Op("Div", x, g.Float(math.Sqrt2)))
	return g.Op("Mul", g.Op("Mul", x, g.Op("Add", erf, g.Float(1))), g.Float(.5))
}

// GeluTanh returns the approximation of Gelu by tanh.
func (g *Graph) GeluTanh(x Value) Value {
	cube := g.Op("Mul", x, g.Op("Mul", x, x))
	inner := g.Op("Add", x, g.Op("Mul", cube, g.Float(.044715)))
	tanh := g.Op("Tanh", g.Op("Mul", inner, g.Float(float32(math.Sqrt(2/math.Pi)))))
	return g.Op("Mul", g.Op("Mul", x, g.Float(.5)), g.Op("Add", tanh, g.Float(1)))
}

// Silu returns x / (1 + exp(-x)). It has no Sigmoid, which not every program that reads ONNX has.
func (g *Graph) Silu(x Value) Value { return g.Op("Div", x, g.expPlusOne(x)) }

// Sigmoid returns 1 / (1 + exp(-x)).
func (g *Graph) Sigmoid(x Value) Value { return g.Op("Div", g.Float(1), g.expPlusOne(x)) }

func (g *Graph) expPlusOne(x Value) Value {
	return g.Op("Add", g.Op("Exp", g.Op("Neg", x)), g.Float(1))
}
