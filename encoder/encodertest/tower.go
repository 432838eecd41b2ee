package encodertest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/retort-ir/retort/encoder"
)

// weight is one parameter with what AdamW keeps for it.
type weight struct {
	name                string
	shape               []int
	value, grad, m1, m2 []float32
}

func newWeight(name string, shape ...int) weight {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return weight{
		name: name, shape: shape,
		value: make([]float32, n), grad: make([]float32, n), m1: make([]float32, n), m2: make([]float32, n),
	}
}

func (w *weight) set(values []float32) error {
	if len(values) != len(w.value) {
		return fmt.Errorf("encodertest: %d values for %s, want %d", len(values), w.name, len(w.value))
	}
	copy(w.value, values)
	return nil
}

func (w *weight) setGrad(grad []float32) error {
	if len(grad) != len(w.grad) {
		return fmt.Errorf("encodertest: %d gradients for %s, want %d", len(grad), w.name, len(w.grad))
	}
	copy(w.grad, grad)
	return nil
}

// The indices of a tower's weights.
const (
	embeddings = iota // [buckets x d]
	projection        // [d x d]
	bias              // [d]
)

type tower struct {
	dim     int
	weights [3]weight
}

func newTower(o Options) *tower {
	return &tower{dim: o.Dim, weights: [3]weight{
		newWeight("embeddings", o.Buckets, o.Dim),
		newWeight("projection", o.Dim, o.Dim),
		newWeight("bias", o.Dim),
	}}
}

// randomise draws the weights. The two role tokens are short, so that words decide.
func (t *tower) randomise(r *rand.Rand) {
	for i := range t.weights {
		for j := range t.weights[i].value {
			t.weights[i].value[j] = float32(r.NormFloat64() * t.scale(i, j))
		}
	}
}

func (t *tower) scale(weight, element int) float64 {
	switch {
	case weight == projection:
		return 1 / math.Sqrt(float64(t.dim))
	case weight == bias, element < 2*t.dim:
		return 0.1
	default:
		return 1
	}
}

func (t *tower) clone() *tower {
	c := *t
	for i := range c.weights {
		w := &c.weights[i]
		w.value, w.grad, w.m1, w.m2 = clone(w.value), clone(w.grad), clone(w.m1), clone(w.m2)
	}
	return &c
}

// activation is what the backward pass of one text needs.
type activation struct {
	tokens []int
	h, a   []float64
	norm   float64 // of a
}

func (a activation) writeTo(dst []float32) {
	for j, x := range a.a {
		dst[j] = float32(x / a.norm)
	}
}

func (t *tower) forward(tokens []int) activation {
	act := activation{tokens: tokens, h: make([]float64, t.dim), a: make([]float64, t.dim)}
	for _, id := range tokens {
		for j, x := range t.weights[embeddings].value[id*t.dim : (id+1)*t.dim] {
			act.h[j] += float64(x) / float64(len(tokens))
		}
	}
	var squares float64
	for j := range act.a {
		sum := float64(t.weights[bias].value[j])
		for k, w := range t.weights[projection].value[j*t.dim : (j+1)*t.dim] {
			sum += float64(w) * act.h[k]
		}
		act.a[j] = math.Tanh(sum)
		squares += act.a[j] * act.a[j]
	}
	act.norm = max(math.Sqrt(squares), 1e-12)
	return act
}

// backward adds the gradients of one text. With y = a/|a| and g = dL/dy: dL/da = (g - (g.y) y) / |a|.
func (t *tower) backward(act activation, grad []float32) {
	var along float64
	for j, g := range grad {
		along += float64(g) * act.a[j] / act.norm
	}
	dh := make([]float64, t.dim)
	for j, g := range grad {
		da := (float64(g) - along*act.a[j]/act.norm) / act.norm
		dz := da * (1 - act.a[j]*act.a[j])
		t.weights[bias].grad[j] += float32(dz)
		w := t.weights[projection].value[j*t.dim : (j+1)*t.dim]
		dw := t.weights[projection].grad[j*t.dim : (j+1)*t.dim]
		for k := range w {
			dw[k] += float32(dz * act.h[k])
			dh[k] += dz * float64(w[k])
		}
	}
	for _, id := range act.tokens {
		de := t.weights[embeddings].grad[id*t.dim : (id+1)*t.dim]
		for k := range de {
			de[k] += float32(dh[k] / float64(len(act.tokens)))
		}
	}
}

func (t *tower) gradNorm() float64 {
	var squares float64
	for i := range t.weights {
		for _, g := range t.weights[i].grad {
			squares += float64(g) * float64(g)
		}
	}
	return math.Sqrt(squares)
}

func (t *tower) zeroGrad() {
	for i := range t.weights {
		clear(t.weights[i].grad)
	}
}

// adamW makes step number n (from 1) in float32, with the gradients multiplied by scale.
func (t *tower) adamW(u encoder.Update, n int, scale float32) {
	correct1 := float32(1 - math.Pow(u.Beta1, float64(n)))
	correct2 := float32(1 - math.Pow(u.Beta2, float64(n)))
	beta1, beta2 := float32(u.Beta1), float32(u.Beta2)
	lr, eps, keep := float32(u.LR), float32(u.Eps), float32(1-u.LR*u.WeightDecay)
	for i := range t.weights {
		w := &t.weights[i]
		for j := range w.value {
			g := w.grad[j] * scale
			w.m1[j] = beta1*w.m1[j] + (1-beta1)*g
			w.m2[j] = beta2*w.m2[j] + (1-beta2)*g*g
			root := float32(math.Sqrt(float64(w.m2[j] / correct2)))
			w.value[j] = keep*w.value[j] - lr*(w.m1[j]/correct1)/(root+eps)
		}
	}
}
