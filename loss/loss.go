package loss

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"
)

// Row is the input of a loss for one query, besides the similarities. Its int32 values are columns of the similarities;
// each distinct passage of the step has one column.
type Row struct {
	ID       string    // id of the query, for errors
	Weight   float64   // weight of the row, >= 0; 0 means 1 (see Factor)
	List     []int32   // the query's own candidates, each once
	Teacher  []float64 // teacher's scores, one per element of List, in [0,1] unless the loss allows any finite number
	Positive int32     // column of the positive for InfoNCE; -1: none
	Ignore   []int32   // columns that are never negatives for InfoNCE; ListwiseKL ignores it
	Count    []float32 // number of times that each column occurs in the step, >= 0; nil: once each
}

// Loss is a loss of one query given its similarities to every passage of the step. Row is safe for concurrent use.
type Loss interface {
	// Row returns the loss and adds scale * dL/dsim to grad. sim and grad have one element per column; sim holds inner
	// products of normalised vectors, which are in [-1,1]. Row.Weight multiplies both the loss and its gradient; scale
	// multiplies only the gradient.
	//
	// A malformed row or a similarity that is NaN or infinite is an error that names the query (Row.Check finds both).
	// After an error the contents of grad are undefined. Row changes neither r nor sim.
	Row(r *Row, sim, grad []float32, scale float64) (float64, error)
}

// Batch is implemented by a Loss that computes whole steps, such as symmetric or guided losses, or a loss that runs on
// a device. q [n x d] and p [m x d] are the embeddings of queries and passages, row-major. Step adds the gradients to
// dq [n x d] and dp [m x d] and returns the mean loss over the rows.
type Batch interface {
	Step(ctx context.Context, rows []Row, q, p, dq, dp blas32.General) (float64, error)
}
