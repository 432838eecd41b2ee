package distill

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// GradientCheck compares the gradient of one step, computed as in Train, with two references.
type GradientCheck struct {
	Loss float64 // loss of the step
	Norm float64 // L2 norm of the gradient over all parameters
	// Plain is |g - p| / |p| for the gradient p of one plain batch: every text in one micro-batch with its graph, all
	// similarities in one block. Rounding in float32 explains about 1e-6.
	Plain float64
	// Parameter is the largest |g - p| / |p| of a single parameter, and Worst the name of that parameter. If the
	// gradient of a parameter is shorter than a thousandth of the whole gradient, the difference is divided by this
	// thousandth instead: the true gradient of some parameters, such as the bias of attention keys, is 0.
	Parameter float64
	Worst     string
	// Central is |d - g.v| / |g| for the central difference d of the loss along v, the larger of two directions: that of
	// g, and that of g plus noise of the same length. In float32 it cannot be much better than 1e-2 where losses have
	// small temperatures.
	Central float64
}

// CheckGradient checks the student's gradient on one step with all lists, to test your own encoders and losses. The
// student must implement encoder.Parametric. Its weights do not change, but with QueryOnly it is split. Use a few short
// lists, because the plain gradient keeps the graphs of all texts. opts apply as in Train, MicroBatchTokens and
// GraphBudget included; with a Group all workers must check the same lists.
func CheckGradient(
	ctx context.Context, student encoder.Trainable, corpus retort.Corpus, lists []retort.List, opts Options,
) (*GradientCheck, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if len(lists) == 0 {
		return nil, errors.New("distill: no lists to check the gradient on")
	}
	data, err := newDataset(corpus, lists, nil, opts.WholeCorpus)
	if err != nil {
		return nil, err
	}
	s, err := newStepper(student, corpus, data, opts)
	if err != nil {
		return nil, err
	}
	texts, _, err := s.passageTexts(ctx, corpus, opts.Vectors)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, texts, opts.Vectors, func(int, int) {}); err != nil {
		return nil, err
	}
	s.graphBudget = opts.graphBudget()
	batch := make([]*example, len(data.train))
	for i := range batch {
		batch[i] = &data.train[i]
	}
	return s.check(ctx, batch)
}

func (s *stepper) check(ctx context.Context, batch []*example) (*GradientCheck, error) {
	cached, loss, err := s.readGradient(ctx, batch)
	if err != nil {
		return nil, err
	}
	whole := *s
	whole.microBatch, whole.block, whole.graphBudget, whole.workers = math.MaxInt, math.MaxInt, -1, &workers{}
	plain, _, err := whole.readGradient(ctx, batch)
	if err != nil {
		return nil, err
	}
	c := &GradientCheck{Loss: loss, Norm: cached.norm(), Plain: cached.minus(plain).norm() / plain.norm()}
	if c.Norm == 0 {
		return nil, errors.New("distill: the gradient is zero: there is nothing to check")
	}
	if err := c.perParameter(s.student, cached, plain); err != nil {
		return nil, err
	}
	for _, direction := range []Weights{cached, cached.withNoise()} {
		difference, err := s.centralDifference(ctx, batch, direction, c.Norm)
		if err != nil {
			return nil, err
		}
		c.Central = max(c.Central, math.Abs(difference-cached.dot(direction)/direction.norm())/c.Norm)
	}
	return c, nil
}

func (c *GradientCheck) perParameter(student encoder.Encoder, got, plain Weights) error {
	params, err := parameters(student)
	if err != nil {
		return err
	}
	floor := plain.norm() / 1000
	for i, p := range params {
		want := plain[i : i+1]
		if d := got[i:i+1].minus(want).norm() / max(want.norm(), floor); d > c.Parameter {
			c.Parameter, c.Worst = d, p.Name
		}
	}
	return nil
}

// readGradient returns the gradient of one step and zeroes the student's gradients.
func (s *stepper) readGradient(ctx context.Context, batch []*example) (Weights, float64, error) {
	params, err := parameters(s.student)
	if err != nil {
		return nil, 0, err
	}
	p, err := s.plan(ctx, batch)
	if err != nil {
		return nil, 0, err
	}
	report, err := s.gradient(ctx, p)
	if err != nil {
		return nil, 0, errors.Join(err, s.forgetGradients())
	}
	grads := make(Weights, len(params))
	for i, p := range params {
		if grads[i], err = p.Grad(); err != nil {
			return nil, 0, errors.Join(fmt.Errorf("distill: gradient of %s: %w", p.Name, err), s.forgetGradients())
		}
	}
	return grads, report.Loss, s.forgetGradients()
}

// centralDifference returns the derivative of the loss along a direction, scaled to length 1. The step is so long that
// the loss should change by a hundredth.
func (s *stepper) centralDifference(ctx context.Context, batch []*example, direction Weights, norm float64) (d float64,
	err error,
) {
	start, err := ReadWeights(s.student)
	if err != nil {
		return 0, err
	}
	h := 0.01 / norm
	defer func() { err = errors.Join(err, SetInterpolated(s.student, start, start, 0)) }()
	var values [2]float64
	for i, step := range []float64{h, -h} {
		end := start.plus(direction, step/direction.norm())
		if err := SetInterpolated(s.student, start, end, 1); err != nil {
			return 0, err
		}
		p, err := s.plan(ctx, batch)
		if err != nil {
			return 0, err
		}
		report, err := s.forward(ctx, p)
		if err := errors.Join(err, p.close()); err != nil {
			return 0, err
		}
		values[i] = report.Loss
	}
	return (values[0] - values[1]) / (2 * h), nil
}

func (w Weights) dot(v Weights) float64 {
	var sum float64
	for i := range w {
		for j, x := range w[i] {
			sum += float64(x) * float64(v[i][j])
		}
	}
	return sum
}

func (w Weights) norm() float64 { return math.Sqrt(w.dot(w)) }

// plus returns w + k v.
func (w Weights) plus(v Weights, k float64) Weights {
	sum := make(Weights, len(w))
	for i := range w {
		sum[i] = make([]float32, len(w[i]))
		for j, x := range w[i] {
			sum[i][j] = float32(float64(x) + k*float64(v[i][j]))
		}
	}
	return sum
}

func (w Weights) minus(v Weights) Weights { return w.plus(v, -1) }

// withNoise adds fixed noise of the same length.
func (w Weights) withNoise() Weights {
	noise := w.plus(w, -1)
	for i := range noise {
		for j := range noise[i] {
			noise[i][j] = float32(math.Sin(float64(i + 7*j + j*j%97)))
		}
	}
	return w.plus(noise, w.norm()/noise.norm())
}
