package distill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// stepper computes the gradient of one step.
type stepper struct {
	student encoder.Trainable
	data    *dataset
	loss    loss.Loss
	queries encoder.Inputs // of data.queries

	queryOnly bool
	passages  encoder.Inputs // of data.passages; nil where the passage vectors are fixed
	fixed     vectors        // else

	microBatch  int // tokens
	block       int // elements
	keepGraph   bool
	count       bool
	wholeCorpus bool

	column []int32 // of a passage in the step at hand; -1: none
	dirty  bool    // Backward has added to the gradients since the last step
}

// vectors are passage vectors that do not change. The passage with number n has row index[n], or n without an index.
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

// step makes one step of the optimiser. On an error the weights are those before it and the gradients are zero.
func (s *stepper) step(ctx context.Context, batch []*example, u encoder.Update) (StepReport, error) {
	report, err := s.gradient(ctx, batch)
	if err != nil {
		return report, errors.Join(err, s.forgetGradients())
	}
	start := time.Now()
	report.LR = u.LR
	if report.GradNorm, err = s.student.Step(u); err != nil {
		return report, fmt.Errorf("%w; its lists are those of the queries %s", err, ids(batch))
	}
	s.dirty = false
	report.Update = time.Since(start)
	return report, nil
}

// gradient adds the gradient of the step's loss to the student's gradients.
func (s *stepper) gradient(ctx context.Context, batch []*example) (report StepReport, err error) {
	g, report, err := s.forward(ctx, batch)
	defer func() { err = errors.Join(err, g.close()) }()
	if err != nil {
		return report, err
	}
	start := time.Now()
	s.dirty = true
	if err := g.queries.backward(ctx, s.student); err != nil {
		return report, err
	}
	if s.passages != nil {
		err = g.passages.backward(ctx, s.student)
	}
	report.Backward = time.Since(start)
	return report, err
}

// graph is a step between its forward and its backward half.
type graph struct{ queries, passages *side }

func (g graph) close() error { return errors.Join(g.queries.close(), g.passages.close()) }

// forward computes the vectors, the loss and its gradients with respect to the vectors. The graph must be closed, after
// an error too.
func (s *stepper) forward(ctx context.Context, batch []*example) (graph, StepReport, error) {
	start := time.Now()
	g := graph{queries: newSide(s.queries, queryRows(batch), s.microBatch), passages: s.passageSide(batch)}
	batch = inOrder(batch, g.queries.rows)
	report := StepReport{Queries: len(batch)}
	if err := g.queries.encode(ctx, s.student, s.keepGraph); err != nil {
		return g, report, err
	}
	if err := s.encodePassages(ctx, g.passages); err != nil {
		return g, report, err
	}
	report.Passages, report.Tokens = g.passages.vectors.Rows, g.queries.tokens+g.passages.tokens
	report.Encode = time.Since(start)

	start = time.Now()
	g.queries.grad = matrix.New(len(batch), s.student.Dim())
	if s.passages != nil {
		g.passages.grad = matrix.New(len(g.passages.rows), s.student.Dim())
	}
	var err error
	report.Loss, err = stepLoss(ctx, s.loss, s.lossRows(batch, report.Passages),
		g.queries.vectors, g.passages.vectors, g.queries.grad, g.passages.grad, s.block)
	report.Similarity = time.Since(start)
	return g, report, err
}

// inOrder returns the lists in the order of their queries' numbers in rows.
func inOrder(batch []*example, rows []int) []*example {
	byQuery := make(map[int]*example, len(batch))
	for _, e := range batch {
		byQuery[e.query] = e
	}
	ordered := make([]*example, len(rows))
	for i, r := range rows {
		ordered[i] = byQuery[r]
	}
	return ordered
}

func queryRows(batch []*example) []int {
	rows := make([]int, len(batch))
	for i, e := range batch {
		rows[i] = e.query
	}
	return rows
}

// passageSide numbers the columns of the step: the distinct passages of its lists, or all.
func (s *stepper) passageSide(batch []*example) *side {
	if s.column == nil {
		s.column = make([]int32, len(s.data.passages))
	}
	for i := range s.column {
		s.column[i] = -1
		if s.wholeCorpus {
			s.column[i] = int32(i)
		}
	}
	if s.wholeCorpus {
		return &side{}
	}
	distinct := s.distinct(batch)
	passages := &side{rows: distinct}
	if s.passages != nil {
		passages = newSide(s.passages, distinct, s.microBatch)
	}
	for c, n := range passages.rows {
		s.column[n] = int32(c)
	}
	return passages
}

// distinct returns the passages of the lists, each once, in ascending order.
func (s *stepper) distinct(batch []*example) []int {
	var all []int
	for _, e := range batch {
		for _, n := range e.list {
			all = append(all, int(n))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *stepper) encodePassages(ctx context.Context, passages *side) error {
	switch {
	case s.passages != nil:
		return passages.encode(ctx, s.student, s.keepGraph)
	case s.wholeCorpus:
		passages.vectors = s.fixed.matrix
	default:
		passages.vectors = s.fixed.pick(passages.rows)
	}
	return nil
}

func (v vectors) pick(numbers []int) blas32.General {
	m := matrix.New(len(numbers), v.matrix.Cols)
	for i, n := range numbers {
		copy(matrix.Row(m, i), v.row(int32(n)))
	}
	return m
}

func (s *stepper) lossRows(batch []*example, columns int) []loss.Row {
	var count []float32
	if s.count {
		count = make([]float32, columns)
	}
	rows := make([]loss.Row, len(batch))
	for i, e := range batch {
		r := loss.Row{
			ID: e.id, Weight: e.weight, List: s.columns(e.list), Teacher: e.teacher,
			Positive: -1, Ignore: s.columns(e.ignore), Count: count,
		}
		if e.positive >= 0 {
			r.Positive = s.column[e.positive]
		}
		if s.count {
			for _, c := range r.List {
				count[c]++
			}
		}
		rows[i] = r
	}
	return rows
}

// columns returns the columns of those passages that are in the step.
func (s *stepper) columns(passages []int32) []int32 {
	columns := make([]int32, 0, len(passages))
	for _, n := range passages {
		if c := s.column[n]; c >= 0 {
			columns = append(columns, c)
		}
	}
	return columns
}

// tokens returns how many tokens a step encodes.
func (s *stepper) tokens(batch []*example) int {
	var sum int
	for _, e := range batch {
		sum += s.queries.Tokens(e.query)
	}
	if s.passages != nil {
		for _, n := range s.distinct(batch) {
			sum += s.passages.Tokens(n)
		}
	}
	return sum
}

// forgetGradients zeroes what Backward has added up, if it has. Every Trainable can do that by the way of its state, which
// does not hold gradients.
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

// ids names the queries of the lists, the first twenty of them.
func ids(batch []*example) string {
	var names []string
	for i, e := range batch {
		if i == 20 {
			names = append(names, fmt.Sprintf("and %d more", len(batch)-i))
			break
		}
		names = append(names, fmt.Sprintf("%q", e.id))
	}
	return strings.Join(names, ", ")
}
