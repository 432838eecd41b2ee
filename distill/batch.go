package distill

import (
	"context"
	"errors"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
)

// side holds the texts of one role in a step, with one row of vectors and gradients per text. The rows are in the order
// of the micro-batches, the micro-batches of worker 0 first, then of worker 1 and so on.
type side struct {
	inputs  encoder.Inputs
	batches [][]int // this worker's micro-batches, as rows of inputs
	rows    []int   // rows of all workers, concatenated
	first   int     // index of this worker's first row
	counts  []int   // number of rows of each worker
	tokens  int     // of all workers
	padded  int     // tokens with the padding of their micro-batches
	vectors blas32.General
	grad    blas32.General
	passes  []encoder.Pass // one per micro-batch: kept open, or nil
}

// newSide partitions rows into micro-batches of at most budget tokens (see encoder.MicroBatches).
func newSide(inputs encoder.Inputs, rows []int, budget int) *side {
	return newSharedSide(inputs, rows, budget, &workers{})
}

// newSharedSide distributes the rows among the workers; each worker partitions its share into micro-batches.
func newSharedSide(inputs encoder.Inputs, rows []int, budget int, w *workers) *side {
	s := &side{inputs: inputs}
	for rank, share := range shares(inputs, rows, w.size()) {
		batches := encoder.MicroBatches(inputs, share, budget)
		if rank == w.rank() {
			s.batches, s.first = batches, len(s.rows)
		}
		s.counts = append(s.counts, len(share))
		for _, batch := range batches {
			s.rows = append(s.rows, batch...)
			s.padded += paddedTokens(inputs, batch)
			for _, r := range batch {
				s.tokens += inputs.Tokens(r)
			}
		}
	}
	return s
}

// paddedTokens relies on encoder.MicroBatches, which puts the longest text first.
func paddedTokens(in encoder.Inputs, batch []int) int { return len(batch) * in.Tokens(batch[0]) }

// encode computes this worker's rows of vectors [len(rows) x d]. The passes that keep selects stay open for backward.
func (s *side) encode(ctx context.Context, student encoder.Trainable, keep func(encoder.Inputs, []int) bool) error {
	s.vectors = matrix.New(len(s.rows), student.Dim())
	s.passes = make([]encoder.Pass, len(s.batches))
	start := s.first
	for i, rows := range s.batches {
		kept := keep(s.inputs, rows)
		pass, err := forward(ctx, student, s.inputs, rows, kept)
		if err != nil {
			return err
		}
		out := pass.Embeddings()
		for i := range out.Rows {
			copy(matrix.Row(s.vectors, start+i), matrix.Row(out, i))
		}
		if kept {
			s.passes[i] = pass
		} else if err := pass.Close(); err != nil {
			return err
		}
		start += len(rows)
	}
	return nil
}

// noGraphs is for encoding without a backward.
func noGraphs(encoder.Inputs, []int) bool { return false }

// backward adds this worker's part of grad to the student's gradients. It visits the micro-batches in order, whether
// their passes were kept or not, so that the choice does not change the order of summation.
func (s *side) backward(ctx context.Context, student encoder.Trainable, report *retort.Step) error {
	row := s.first
	for i, rows := range s.batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		pass := s.passes[i]
		if pass == nil {
			var err error
			if pass, err = forward(ctx, student, s.inputs, rows, true); err != nil {
				return err
			}
			report.Recomputed += paddedTokens(s.inputs, rows)
			report.Recompute += time.Since(start)
			start = time.Now()
		}
		err := pass.Backward(matrix.Rows(s.grad, row, row+len(rows)))
		if err := errors.Join(err, pass.Close()); err != nil {
			return err
		}
		s.passes[i] = nil
		report.Backward += time.Since(start)
		row += len(rows)
	}
	return nil
}

// close closes the kept passes.
func (s *side) close() error {
	var errs []error
	for _, p := range s.passes {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	s.passes = nil
	return errors.Join(errs...)
}

func forward(ctx context.Context, student encoder.Trainable, in encoder.Inputs, rows []int, keep bool) (encoder.Pass,
	error,
) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return student.Forward(ctx, in, rows, keep)
}
