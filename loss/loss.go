package loss

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"
)

// Row is what a loss may know of one query. All ints are columns of the query's similarities, one column a distinct
// passage of the step.
type Row struct {
	ID       string    // the query's, for errors
	Weight   float64   // of the row; 0 means 1 (see Factor)
	List     []int32   // the query's own candidates, each once
	Teacher  []float64 // the teacher's scores, aligned with List, scaled to [0,1] (or any finite number, where a loss says so)
	Positive int32     // the column InfoNCE pulls towards; -1: none, InfoNCE adds nothing
	Ignore   []int32   // never a negative for InfoNCE (the source, likely false negatives); List stays whole in KL
	Count    []float32 // how often each column occurs in the step, 0: not at all; nil means once
}

// Loss is a loss of one query given its similarities to every passage of the step. Row is safe for concurrent use.
type Loss interface {
	// Row returns the loss and adds scale * dL/dsim to grad. sim and grad have one element a column; sim holds inner
	// products of normalised vectors, so in [-1,1]. Sums and exponentials are taken in float64. Row.Weight multiplies
	// both the loss and its gradient; scale multiplies only the gradient.
	//
	// A malformed row and a similarity that is NaN or infinite are errors that name the query (Row.Check finds both).
	// After an error grad is worth nothing. Row changes neither r nor sim.
	Row(r *Row, sim, grad []float32, scale float64) (float64, error)
}

// Batch is implemented by a Loss that sees the whole step: symmetric or guided losses, or one computed on a device.
// q and p are the embeddings of queries [n x d] and passages [m x d]; it adds the gradients to dq and dp and returns the
// mean loss over the rows.
type Batch interface {
	Step(ctx context.Context, rows []Row, q, p, dq, dp blas32.General) (float64, error)
}
