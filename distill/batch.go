package distill

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
)

// side is the texts of one role in a step, with one row of vectors and of gradients a text. Rows are sorted by length, so
// that a micro-batch is a run of rows.
type side struct {
	inputs  encoder.Inputs
	rows    []int // of inputs
	ends    []int // of the micro-batches, in rows
	tokens  int
	vectors blas32.General
	grad    blas32.General
	passes  []encoder.Pass // kept open, one a micro-batch; or none
}

// newSide sorts rows, which it keeps, and cuts them so that no micro-batch has more than budget tokens, padding included,
// unless it is a single text.
func newSide(inputs encoder.Inputs, rows []int, budget int) *side {
	slices.SortFunc(rows, func(a, b int) int {
		return cmp.Or(cmp.Compare(inputs.Tokens(a), inputs.Tokens(b)), cmp.Compare(a, b))
	})
	s := &side{inputs: inputs, rows: rows}
	start := 0
	for i, r := range rows {
		s.tokens += inputs.Tokens(r)
		if i > start && (i+1-start)*inputs.Tokens(r) > budget {
			s.ends = append(s.ends, i)
			start = i
		}
	}
	if len(rows) > 0 {
		s.ends = append(s.ends, len(rows))
	}
	return s
}

// encode fills vectors [len(rows) x d]. With keep the passes stay open for backward.
func (s *side) encode(ctx context.Context, student encoder.Trainable, keep bool) error {
	s.vectors = newMatrix(len(s.rows), student.Dim())
	start := 0
	for _, end := range s.ends {
		pass, err := forward(ctx, student, s.inputs, s.rows[start:end], keep)
		if err != nil {
			return err
		}
		out := pass.Embeddings()
		for i := range out.Rows {
			copy(row(s.vectors, start+i), row(out, i))
		}
		if keep {
			s.passes = append(s.passes, pass)
		} else if err := pass.Close(); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// backward adds grad's part to the student's gradients.
func (s *side) backward(ctx context.Context, student encoder.Trainable) error {
	start := 0
	for i, end := range s.ends {
		if err := ctx.Err(); err != nil {
			return err
		}
		var pass encoder.Pass
		if s.passes != nil {
			pass = s.passes[i]
		} else {
			var err error
			if pass, err = forward(ctx, student, s.inputs, s.rows[start:end], true); err != nil {
				return err
			}
		}
		err := pass.Backward(rowsOf(s.grad, start, end))
		if err := errors.Join(err, pass.Close()); err != nil {
			return err
		}
		start = end
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

func newMatrix(rows, cols int) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: max(cols, 1), Data: make([]float32, rows*cols)}
}

func row(m blas32.General, i int) []float32 { return m.Data[i*m.Stride : i*m.Stride+m.Cols] }

// rowsOf returns rows start to end, sharing m's memory.
func rowsOf(m blas32.General, start, end int) blas32.General {
	m.Rows = end - start
	m.Data = m.Data[start*m.Stride : (end-1)*m.Stride+m.Cols]
	return m
}
