package encodertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/contract"
	"github.com/retort-ir/retort/internal/matrix"
)

// Tolerances are the numerical tolerances of TestEncoder.
type Tolerances struct {
	// Embedding bounds the absolute difference between two ways to compute one element of a vector: alone, in a batch, by
	// Encode, by Forward; 0 means 1e-6.
	Embedding float64
	// Gradient bounds the difference between a gradient and its central difference, relative to the gradient's norm over
	// the parameter; 0 means 0.01.
	Gradient float64
	// Weight bounds the relative difference between a weight and the result of a reference AdamW, and between
	// accumulated gradients and the sum of gradients; 0 means 1e-4.
	Weight float64
	// Probe is the change of one parameter element, relative to the root mean square of the parameter, in central
	// differences; 0 means 0.01.
	Probe float64
}

func (o Tolerances) withDefaults() Tolerances {
	for _, d := range []struct {
		field *float64
		value float64
	}{{&o.Embedding, 1e-6}, {&o.Gradient, 0.01}, {&o.Weight, 1e-4}, {&o.Probe, 0.01}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// TestEncoder checks that an implementation keeps the contract of encoder.Trainable and, where it implements them, of
// encoder.Splitter, encoder.Parametric and encoder.Fingerprinter. It returns an error for each violation, joined. open
// must return a model with the same weights on each call. Use a small model, because gradients are compared with
// central differences. TestEncoder closes a model that has a Close method. The checks end when ctx ends. Run it under
// the race detector too.
func TestEncoder(ctx context.Context, open func() (encoder.Trainable, error), tol Tolerances) error {
	c := suite{openModel: open, tol: tol.withDefaults()}
	errs := []error{TestEncode(ctx, func() (encoder.Encoder, error) { return open() }, tol)}
	for _, test := range []struct {
		name string
		run  func(*contract.T, encoder.Trainable)
	}{
		{"a cancelled context ends every call with its error", c.cancelled},
		{"Prepare counts tokens", c.prepareTokens},
		{"Forward equals Encode", c.forwardEqualsEncode},
		{"Forward refuses rows and inputs that are not there", c.forwardBadRows},
		{"Backward is the gradient", c.backwardIsGradient},
		{"Backward reads rows by their stride", c.backwardStride},
		{"Backward out of turn is an error", c.backwardErrors},
		{"passes close in any order", c.closeOrder},
		{"gradients add up", c.gradientsAddUp},
		{"ZeroGradients drops the gradients alone", c.zeroGradients},
		{"SetGrad replaces the gradients", c.setGrad},
		{"Step is AdamW", c.stepIsAdamW},
		{"Step clips the gradient", c.stepClips},
		{"Step without a gradient only decays", c.stepDecays},
		{"Step refuses settings out of range", c.stepBadUpdate},
		{"a gradient that is not finite changes no weight", c.nonFinite},
		{"a loaded state goes on with the same bits", c.stateGoesOn},
		{"LoadState zeroes the gradients", c.loadZeroesGradients},
		{"a broken state is an error and changes nothing", c.brokenState},
		{"Save into a place that cannot be written is an error", c.saveUnwritable},
		{"training the query tower leaves passages bit for bit", c.splitTowers},
		{"the fingerprint follows the weights", c.fingerprint},
	} {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, contract.Run(ctx, test.name, func(t *contract.T) { test.run(t, c.open(t)) }))
	}
	return errors.Join(errs...)
}

// TestEncode is the part of TestEncoder for models that cannot be trained: it checks the contract of encoder.Encoder.
func TestEncode(ctx context.Context, open func() (encoder.Encoder, error), tol Tolerances) error {
	c := encodeSuite{tol: tol.withDefaults()}
	var errs []error
	for _, test := range []struct {
		name string
		run  func(*contract.T, encoder.Encoder)
	}{
		{"Encode gives one normalised row a text, in order", c.rows},
		{"Encode of no texts gives no rows", c.nothing},
		{"Encode of empty and odd texts gives normalised rows", c.oddTexts},
		{"Encode is safe for concurrent use", c.concurrently},
		{"a cancelled context ends Encode with its error", c.cancelled},
		{"a context that ends during Encode ends it", c.cancelledDuring},
	} {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, contract.Run(ctx, test.name, func(t *contract.T) { test.run(t, openFor(t, open)) }))
	}
	return errors.Join(errs...)
}

// openFor returns a model that is closed at the end of the check.
func openFor[E encoder.Encoder](t *contract.T, open func() (E, error)) E {
	e, err := open()
	t.NoError(err, "opening the model")
	if closer, ok := any(e).(io.Closer); ok {
		t.Cleanup(func() { t.NoError(closer.Close(), "closing the model") })
	}
	return e
}

type suite struct {
	openModel func() (encoder.Trainable, error)
	tol       Tolerances
}

func (c suite) open(t *contract.T) encoder.Trainable { return openFor(t, c.openModel) }

// The steps of checks that are not about the step.
var (
	plain   = encoder.Update{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	clipped = encoder.Update{LR: 0.01, WeightDecay: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, ClipNorm: 1}
)

func (c suite) cancelled(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Query, texts)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	_, err := e.Prepare(ctx, encoder.Passage, texts)
	t.ErrorIs(err, context.Canceled)
	_, err = e.Forward(ctx, in, []int{0, 1}, true)
	t.ErrorIs(err, context.Canceled)
	t.True(time.Since(start) < 2*time.Second, "time.Since(start) < 2*time.Second")
}

func (c suite) prepareTokens(t *contract.T, e encoder.Trainable) {
	none := prepare(t, e, encoder.Query, nil)
	t.True(none.Len() == 0, "none.Len() is not 0")
	long := strings.Repeat("word ", 5_000)
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		in := prepare(t, e, role, []string{"", "one", "one two three", long, long + long})
		t.Equal(5, in.Len())
		t.True(in.Tokens(0) >= 0, "in.Tokens(0) >= 0")
		t.True(in.Tokens(1) > in.Tokens(0), "in.Tokens(1) > in.Tokens(0)")
		t.True(in.Tokens(2) > in.Tokens(1), "in.Tokens(2) > in.Tokens(1)")
		t.True(in.Tokens(3) > in.Tokens(2), "in.Tokens(3) > in.Tokens(2)")
		t.Equal(in.Tokens(3), in.Tokens(4), "the cut to the length limit is not counted")
		t.True(in.Tokens(3) < 10_000, "in.Tokens(3) < 10_000")
	}
}

func (c suite) forwardEqualsEncode(t *contract.T, e encoder.Trainable) {
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		want := encode(t, e, role, texts)
		in := prepare(t, e, role, texts)
		for _, rows := range [][]int{{0, 1, 2, 3, 4}, {3, 1}, {2}, {4, 4, 0}} {
			for _, keepGraph := range []bool{false, true} {
				pass := forward(t, e, in, rows, keepGraph)
				got := pass.Embeddings()
				requireUnitRows(t, got, len(rows), e.Dim())
				for i, r := range rows {
					t.InDeltas(matrix.Row(want, r), matrix.Row(got, i), c.tol.Embedding, "%s, rows %v", role, rows)
				}
				t.NoError(pass.Close())
			}
		}
	}
}

func (c suite) forwardBadRows(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Query, texts)
	for _, rows := range [][]int{{-1}, {len(texts)}, {0, 99}} {
		_, err := e.Forward(t.Context(), in, rows, false)
		t.Error(err, "rows %v", rows)
	}
	_, err := e.Forward(t.Context(), strangeInputs{}, []int{0}, false)
	t.Error(err)
	_, err = e.Forward(t.Context(), nil, []int{0}, false)
	t.Error(err)
}

type strangeInputs struct{}

func (strangeInputs) Len() int       { return 1 }
func (strangeInputs) Tokens(int) int { return 1 }

// backwardIsGradient takes L = sum of g*y with fixed g, whose gradient with respect to the embeddings y is g.
func (c suite) backwardIsGradient(t *contract.T, e encoder.Trainable) {
	params := parameters(t, e)
	in := prepare(t, e, encoder.Passage, texts)
	all := allRows(in)
	g := probe(len(texts), e.Dim())
	backward(t, e, in, all, g)
	for _, k := range spread(len(params), 8) {
		p := params[k]
		grad, value := grad(t, p), value(t, p)
		t.Equal(len(value), len(grad), p.Name)
		norm, h := l2(grad), c.tol.Probe*max(l2(value)/math.Sqrt(float64(len(value))), 1e-2)
		t.True(norm != 0, "%s has no gradient", p.Name)
		for _, j := range largest(grad, 3) {
			loss := func(delta float64) float64 {
				changed := clone(value)
				changed[j] += float32(delta)
				t.NoError(p.Set(changed))
				pass := forward(t, e, in, all, false)
				defer pass.Close()
				return dot(pass.Embeddings(), g)
			}
			numeric := (loss(h) - loss(-h)) / float64((value[j]+float32(h))-(value[j]-float32(h)))
			t.NoError(p.Set(value))
			t.InDelta(numeric, float64(grad[j]), c.tol.Gradient*norm, "%s[%d]", p.Name, j)
		}
	}
}

func (c suite) backwardStride(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Query, texts)
	dense := probe(2, e.Dim())
	wide := matrix.New(2, e.Dim()+3)
	for i := range wide.Data {
		wide.Data[i] = 99
	}
	for i := range 2 {
		copy(matrix.Row(wide, i), matrix.Row(dense, i))
	}
	wide.Cols = e.Dim()
	backward(t, e, in, []int{1, 3}, dense)
	want := gradients(t, e)
	step(t, e, encoder.Update{Eps: 1})
	backward(t, e, in, []int{1, 3}, wide)
	t.True(relative(gradients(t, e), want) < c.tol.Weight, "relative(gradients(t, e), want) < c.tol.Weight")
}

func (c suite) backwardErrors(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Query, texts)
	g := probe(2, e.Dim())
	rows := []int{0, 1}

	pass := forward(t, e, in, rows, false)
	t.Error(pass.Backward(g), "without keepGraph")
	t.NoError(pass.Close())

	for name, wrong := range map[string]blas32.General{
		"too few rows":  probe(1, e.Dim()),
		"too many rows": probe(3, e.Dim()),
		"too narrow":    probe(2, e.Dim()-1),
		"short data":    {Rows: 2, Cols: e.Dim(), Stride: e.Dim(), Data: g.Data[:e.Dim()]},
		"empty":         {},
	} {
		pass = forward(t, e, in, rows, true)
		t.Error(pass.Backward(wrong), name)
		t.NoError(pass.Close())
	}

	pass = forward(t, e, in, rows, true)
	t.NoError(pass.Backward(g))
	t.Error(pass.Backward(g), "twice")
	t.NoError(pass.Close())

	pass = forward(t, e, in, rows, true)
	t.NoError(pass.Close())
	t.NoError(pass.Close(), "closing twice")
	t.Error(pass.Backward(g), "after Close")
}

func (c suite) closeOrder(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Query, texts)
	want := encode(t, e, encoder.Query, texts)
	passes := make([]encoder.Pass, len(texts))
	for i := range passes {
		passes[i] = forward(t, e, in, []int{i}, i%2 == 0)
	}
	for _, i := range []int{2, 0, 4, 1, 3} {
		t.InDeltas(matrix.Row(want, i), matrix.Row(passes[i].Embeddings(), 0), c.tol.Embedding)
		if i == 0 {
			t.NoError(passes[i].Backward(probe(1, e.Dim())))
		}
		t.NoError(passes[i].Close())
	}
	for _, pass := range passes {
		t.NoError(pass.Close(), "twice")
	}
}

func (c suite) gradientsAddUp(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Passage, texts)
	g := probe(len(texts), e.Dim())
	backward(t, e, in, allRows(in), g)
	want := gradients(t, e)
	step(t, e, encoder.Update{Eps: 1})
	t.True(l2(gradients(t, e)) == 0, "Step zeroes the gradients")
	for _, rows := range [][]int{{3}, {1, 0}, {4, 2}} {
		backward(t, e, in, rows, pick(g, rows))
	}
	t.True(relative(gradients(t, e), want) < c.tol.Weight, "relative(gradients(t, e), want) < c.tol.Weight")
}

func (c suite) zeroGradients(t *contract.T, e encoder.Trainable) {
	zeroer, ok := e.(encoder.GradientZeroer)
	if !ok {
		t.Skip()
	}
	t.NoError(zeroer.ZeroGradients(), "before there are any")
	in := prepare(t, e, encoder.Query, texts)
	backward(t, e, in, allRows(in), probe(len(texts), e.Dim()))
	t.True(l2(gradients(t, e)) != 0, "l2(gradients(t, e)) is 0")
	before := save(t, e)
	t.NoError(zeroer.ZeroGradients())
	t.True(l2(gradients(t, e)) == 0, "l2(gradients(t, e)) is not 0")
	t.Equal(before, save(t, e), "weights or moments changed")
}

// setGrad gives one model the gradients of another, before and after a Backward of its own.
func (c suite) setGrad(t *contract.T, from encoder.Trainable) {
	to := c.open(t)
	if parameters(t, to)[0].SetGrad == nil {
		t.Skip()
	}
	in := prepare(t, from, encoder.Query, texts)
	backward(t, from, in, allRows(in), probe(len(texts), from.Dim()))
	give := func() {
		for i, p := range parameters(t, to) {
			t.NoError(p.SetGrad(grad(t, parameters(t, from)[i])), p.Name)
		}
		t.Equal(gradients(t, from), gradients(t, to))
	}
	give()
	own := prepare(t, to, encoder.Query, texts[:2])
	backward(t, to, own, allRows(own), probe(2, to.Dim()))
	t.NotEqual(gradients(t, from), gradients(t, to))
	give()
	t.Error(parameters(t, to)[0].SetGrad(nil), "too few")
	u := encoder.Update{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, ClipNorm: 0.1}
	t.Equal(step(t, from, u), step(t, to, u))
	t.Equal(values(t, from), values(t, to))
}

func (c suite) stepIsAdamW(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Query, texts)
	u := encoder.Update{LR: 0.01, WeightDecay: 0.1, Beta1: 0.8, Beta2: 0.95, Eps: 1e-3}
	weights := toFloat64(values(t, e))
	m1, m2 := make([]float64, len(weights)), make([]float64, len(weights))
	for n := 1; n <= 3; n++ {
		backward(t, e, in, allRows(in), probe(len(texts), e.Dim()))
		grads := gradients(t, e)
		norm := step(t, e, u)
		t.InEpsilon(l2(grads), norm, c.tol.Weight)
		for i, g := range toFloat64(grads) {
			m1[i] = u.Beta1*m1[i] + (1-u.Beta1)*g
			m2[i] = u.Beta2*m2[i] + (1-u.Beta2)*g*g
			unbiased1 := m1[i] / (1 - math.Pow(u.Beta1, float64(n)))
			unbiased2 := m2[i] / (1 - math.Pow(u.Beta2, float64(n)))
			weights[i] -= u.LR*u.WeightDecay*weights[i] + u.LR*unbiased1/(math.Sqrt(unbiased2)+u.Eps)
		}
		got := toFloat64(values(t, e))
		for i, w := range weights {
			t.InDelta(w, got[i], c.tol.Weight*(math.Abs(w)+u.LR), "step %d, weight %d", n, i)
		}
	}
}

// stepClips takes an Eps so large that AdamW's step follows the length of the gradient.
func (c suite) stepClips(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Query, texts)
	backward(t, e, in, allRows(in), probe(len(texts), e.Dim()))
	before, grads := toFloat64(values(t, e)), toFloat64(gradients(t, e))
	clip := l2(gradients(t, e)) / 10
	norm := step(t, e, encoder.Update{LR: 1, Beta1: 0.9, Beta2: 0.999, Eps: 1, ClipNorm: clip})
	t.InEpsilon(10*clip, norm, c.tol.Weight, "the norm before clipping")
	after := toFloat64(values(t, e))
	for i, g := range grads {
		want := before[i] - 0.1*g/(math.Abs(0.1*g)+1)
		t.InDelta(want, after[i], c.tol.Weight*(math.Abs(want)+math.Abs(0.1*g)), "weight %d", i)
	}
}

func (c suite) stepDecays(t *contract.T, e encoder.Trainable) {
	before := values(t, e)
	norm := step(t, e, encoder.Update{LR: 0.5, WeightDecay: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, ClipNorm: 1})
	t.True(norm == 0, "norm is not 0")
	for i, w := range values(t, e) {
		t.InDelta(0.95*float64(before[i]), float64(w), c.tol.Weight*math.Abs(float64(before[i])), "weight %d", i)
	}
}

func (c suite) stepBadUpdate(t *contract.T, e encoder.Trainable) {
	before := values(t, e)
	good := encoder.Update{LR: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	for name, spoil := range map[string]func(*encoder.Update){
		"LR":    func(u *encoder.Update) { u.LR = math.NaN() },
		"Beta1": func(u *encoder.Update) { u.Beta1 = 1 },
		"Beta2": func(u *encoder.Update) { u.Beta2 = -0.1 },
		"Eps":   func(u *encoder.Update) { u.Eps = 0 },
	} {
		u := good
		spoil(&u)
		_, err := e.Step(u)
		t.ErrorContains(err, name)
	}
	t.Equal(before, values(t, e))
}

func (c suite) nonFinite(t *contract.T, _ encoder.Trainable) {
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		e, clean := c.open(t), c.open(t)
		in := prepare(t, e, encoder.Query, texts)
		before := values(t, e)
		g := probe(len(texts), e.Dim())
		g.Data[1] = float32(bad)
		backward(t, e, in, allRows(in), g)
		_, err := e.Step(clipped)
		t.ErrorIs(err, encoder.ErrNonFinite)
		t.Equal(before, values(t, e), "weights changed")
		t.True(l2(gradients(t, e)) == 0, "gradients stayed")
		c.train(t, e, clipped)
		c.train(t, clean, clipped)
		t.Equal(values(t, clean), values(t, e), "the moments or the count of steps changed")
	}
}

func (c suite) stateGoesOn(t *contract.T, a encoder.Trainable) {
	b := c.open(t)
	c.train(t, a, clipped)
	c.train(t, a, clipped)
	saved := save(t, a)
	t.NoError(b.LoadState(bytes.NewReader(saved)))
	t.Equal(values(t, a), values(t, b))
	c.train(t, a, clipped)
	c.train(t, b, clipped)
	t.Equal(values(t, a), values(t, b))
	t.Equal(encode(t, a, encoder.Query, texts), encode(t, b, encoder.Query, texts))
}

func (c suite) loadZeroesGradients(t *contract.T, e encoder.Trainable) {
	in := prepare(t, e, encoder.Query, texts)
	saved := save(t, e)
	backward(t, e, in, allRows(in), probe(len(texts), e.Dim()))
	t.True(l2(gradients(t, e)) != 0, "l2(gradients(t, e)) is 0")
	t.NoError(e.LoadState(bytes.NewReader(saved)))
	t.True(l2(gradients(t, e)) == 0, "l2(gradients(t, e)) is not 0")
}

func (c suite) brokenState(t *contract.T, e encoder.Trainable) {
	c.train(t, e, plain)
	saved := save(t, e)
	c.train(t, e, plain)
	before := values(t, e)
	for _, n := range []int{0, 1, len(saved) / 4, len(saved) / 2, len(saved) - 1} {
		t.Error(e.LoadState(bytes.NewReader(saved[:n])), "the first %d of %d bytes", n, len(saved))
		t.Equal(before, values(t, e))
	}
	t.Error(e.LoadState(strings.NewReader("no state at all, although there is enough of it to read")))
	t.Error(e.SaveState(brokenWriter{}))
	t.Equal(before, values(t, e))
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func (c suite) saveUnwritable(t *contract.T, e encoder.Trainable) {
	file := filepath.Join(t.TempDir(), "file")
	t.NoError(os.WriteFile(file, nil, 0o644))
	t.Error(e.Save(filepath.Join(file, "model")), "below a file")
	t.NoError(e.Save(t.TempDir() + "/model"))
}

func (c suite) splitTowers(t *contract.T, e encoder.Trainable) {
	splitter, ok := e.(encoder.Splitter)
	if !ok {
		t.Skip()
	}
	passages, queries := encode(t, e, encoder.Passage, texts), encode(t, e, encoder.Query, texts)
	t.NoError(splitter.SplitTowers())
	t.Equal(queries, encode(t, e, encoder.Query, texts))
	c.train(t, e, clipped)
	t.NoError(splitter.SplitTowers(), "twice")
	c.train(t, e, clipped)
	t.Equal(passages, encode(t, e, encoder.Passage, texts))
	trained := encode(t, e, encoder.Query, texts)
	t.NotEqual(queries, trained)

	saved := save(t, e)
	other := c.open(t)
	t.NoError(other.(encoder.Splitter).SplitTowers())
	t.NoError(other.LoadState(bytes.NewReader(saved)))
	t.Equal(passages, encode(t, other, encoder.Passage, texts))
	t.Equal(trained, encode(t, other, encoder.Query, texts))
}

func (c suite) fingerprint(t *contract.T, e encoder.Trainable) {
	printer, ok := e.(encoder.Fingerprinter)
	if !ok {
		t.Skip()
	}
	before := printer.Fingerprint()
	t.True(len(before) > 0, "it is empty")
	t.Equal(before, c.open(t).(encoder.Fingerprinter).Fingerprint())
	c.train(t, e, plain)
	t.NotEqual(before, printer.Fingerprint())
}

// train makes one step towards nothing in particular.
func (c suite) train(t *contract.T, e encoder.Trainable, u encoder.Update) {
	in := prepare(t, e, encoder.Query, texts)
	backward(t, e, in, allRows(in), probe(len(texts), e.Dim()))
	step(t, e, u)
}
