package distill

import (
	"context"
	"errors"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
)

// side is the texts of one role in a step, with one row of vectors and of gradients a text, in the order of the
// micro-batches: each is a run of rows.
type side struct {
	inputs  encoder.Inputs
	batches [][]int // micro-batches of rows of inputs
	rows    []int   // the same, end to end
	tokens  int
	vectors blas32.General
	grad    blas32.General
	passes  []encoder.Pass // kept open, one a micro-batch; or none
}

// newSide cuts rows into micro-batches of at most budget tokens (see encoder.MicroBatches).
func newSide(inputs encoder.Inputs, rows []int, budget int) *side {
	s := &side{inputs: inputs, batches: encoder.MicroBatches(inputs, rows, budget)}
	s.rows = slices.Concat(s.batches...)
	for _, r := range rows {
		s.tokens += inputs.Tokens(r)
	}
	return s
}

// encode fills vectors [len(rows) x d]. With keep the passes stay open for backward.
func (s *side) encode(ctx context.Context, student encoder.Trainable, keep bool) error {
	s.vectors = matrix.New(len(s.rows), student.Dim())
	start := 0
	for _, rows := range s.batches {
		pass, err := forward(ctx, student, s.inputs, rows, keep)
		if err != nil {
			return err
		}
		out := pass.Embeddings()
		for i := range out.Rows {
			copy(matrix.Row(s.vectors, start+i), matrix.Row(out, i))
		}
		if keep {
			s.passes = append(s.passes, pass)
		} else if err := pass.Close(); err != nil {
			return err
		}
		start += len(rows)
	}
	return nil
}

// backward adds grad's part to the student's gradients.
func (s *side) backward(ctx context.Context, student encoder.Trainable) error {
	start := 0
	for i, rows := range s.batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		var pass encoder.Pass
		if s.passes != nil {
			pass = s.passes[i]
		} else {
			var err error
			if pass, err = forward(ctx, student, s.inputs, rows, true); err != nil {
				return err
			}
		}
		err := pass.Backward(matrix.Rows(s.grad, start, start+len(rows)))
		if err := errors.Join(err, pass.Close()); err != nil {
			return err
		}
		start += len(rows)
	}
	return nil
}

// close closes the passes that were kept.
func (s *side) close() error {
	var errs []error
	for _, p := range s.passes {
		errs = append(errs, p.Close())
	}
	s.passes = nil
	return errors.Join(errs...)
}

func forward(ctx context.Context, student encoder.Trainable, in encoder.Inputs, rows []int, keep bool) (encoder.Pass, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return student.Forward(ctx, in, rows, keep)
}
