package distill

import (
	"bytes"
	"context"
	"errors"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// stepper computes the gradient of one step.
type stepper struct {
	student encoder.Trainable
	data    *dataset
	loss    loss.Loss
	widths  []int          // at which the loss is summed; none: the whole vectors only
	queries encoder.Inputs // of data.queries

	queryOnly bool
	passages  encoder.Inputs // of data.passages; nil if the passage vectors are fixed
	fixed     vectors        // else

	microBatch  int   // tokens
	block       int   // elements
	graphBudget int64 // bytes of graphs that a step keeps; negative: no limit
	count       bool
	wholeCorpus bool
	workers     *workers

	column []int32 // of a passage in the step that plan is at; -1: none
	dirty  bool    // the gradients are not zero
}

// vectors are passage vectors that do not change. Passage n has row index[n], or row n if index is nil.
type vectors struct {
	matrix blas32.General
	index  []int
}

func (v vectors) row(n int32) []float32 {
	if v.index == nil {
		return matrix.Row(v.matrix, int(n))
	}
	return matrix.Row(v.matrix, v.index[n])
}

// step makes one optimiser step. On an error the weights are unchanged and the gradients are zero.
func (s *stepper) step(ctx context.Context, p *plan, u encoder.Update) (retort.Step, error) {
	report, err := s.gradient(ctx, p)
	if err != nil {
		return report, errors.Join(err, s.forgetGradients())
	}
	start := time.Now()
	report.LR = u.LR
	if report.GradNorm, err = s.student.Step(u); err != nil {
		return report, err
	}
	s.dirty = false
	report.Update = time.Since(start)
	return report, nil
}

// gradient adds the gradient of the step's loss to the student's gradients.
func (s *stepper) gradient(ctx context.Context, p *plan) (report retort.Step, err error) {
	report, err = s.forward(ctx, p)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return report, err
	}
	s.dirty = true
	if err := p.queries.backward(ctx, s.student, &report); err != nil {
		return report, err
	}
	if s.passages != nil {
		if err := p.passages.backward(ctx, s.student, &report); err != nil {
			return report, err
		}
	}
	if s.workers.group == nil {
		return report, nil
	}
	start := time.Now()
	err = s.workers.reduceGradients(ctx, s.student)
	report.Exchange += time.Since(start)
	return report, err
}

// forward computes the vectors, the loss and its gradients with respect to the vectors. The caller must close the plan,
// even after an error.
func (s *stepper) forward(ctx context.Context, p *plan) (retort.Step, error) {
	start := time.Now()
	report := retort.Step{Queries: len(p.batch), Passages: p.columns, Listed: p.listed, GraphBudget: s.graphBudget}
	g := s.graphs()
	if err := p.queries.encode(ctx, s.student, g.keep); err != nil {
		return report, err
	}
	if s.passages != nil {
		if err := p.passages.encode(ctx, s.student, g.keep); err != nil {
			return report, err
		}
	}
	report.Tokens, report.Padded = p.queries.tokens+p.passages.tokens, p.queries.padded+p.passages.padded
	report.Encode = time.Since(start)

	if s.workers.group != nil {
		start = time.Now()
		if err := s.exchange(ctx, p); err != nil {
			return report, err
		}
		report.Exchange = time.Since(start)
	}

	start = time.Now()
	p.queries.grad = matrix.New(len(p.rows), s.student.Dim())
	if s.passages != nil {
		p.passages.grad = matrix.New(len(p.passages.rows), s.student.Dim())
	}
	var parts []float64
	var err error
	report.Loss, parts, err = nestedLoss(ctx, s.loss, p.rows, p.queries.vectors, p.passages.vectors, p.queries.grad,
		p.passages.grad, s.block, s.widths)
	names := nestedNames(s.loss, s.widths)
	for i, value := range parts {
		report.Parts = append(report.Parts, retort.LossPart{Name: names[i], Value: value})
	}
	report.Masked, report.Candidates = maskedColumns(s.loss, p.rows, p.columns)
	report.Similarity = time.Since(start)
	return report, err
}

// exchange sends the vectors of each worker to all workers.
func (s *stepper) exchange(ctx context.Context, p *plan) error {
	if err := s.workers.gatherRows(ctx, p.queries.vectors, p.queries.counts); err != nil {
		return err
	}
	if s.passages == nil {
		return nil
	}
	return s.workers.gatherRows(ctx, p.passages.vectors, p.passages.counts)
}

// graphs selects the micro-batches of a step that keep their graphs: every one that fits into the remaining budget.
type graphs struct {
	all   bool
	sizer encoder.GraphSizer // nil: none is kept
	left  int64              // bytes
}

func (s *stepper) graphs() *graphs {
	sizer, _ := s.student.(encoder.GraphSizer)
	return &graphs{all: s.graphBudget < 0, sizer: sizer, left: s.graphBudget}
}

func (g *graphs) keep(in encoder.Inputs, rows []int) bool {
	if g.all || g.sizer == nil {
		return g.all
	}
	size := g.sizer.GraphBytes(in, rows)
	if size > g.left {
		return false
	}
	g.left -= size
	return true
}

// forgetGradients zeroes the gradients. A Trainable that is not a GradientZeroer saves and loads its state, which
// zeroes them too.
func (s *stepper) forgetGradients() error {
	if !s.dirty {
		return nil
	}
	if z, ok := s.student.(encoder.GradientZeroer); ok {
		err := z.ZeroGradients()
		s.dirty = err != nil
		return err
	}
	var state bytes.Buffer
	if err := s.student.SaveState(&state); err != nil {
		return err
	}
	s.dirty = false
	return s.student.LoadState(&state)
}
