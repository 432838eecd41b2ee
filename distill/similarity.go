package distill

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// blockElements bounds the similarities held at a time: 16 MiB of them, and as much of their gradients. It is a constant
// because the blocks decide the order of sums.
const blockElements = 4 << 20

// stepLoss returns the mean loss of the rows given the vectors of queries q [n x d] and passages p [m x d], and adds the
// gradients to dq and, where it has Data, dp.
func stepLoss(ctx context.Context, l loss.Loss, rows []loss.Row, q, p, dq, dp blas32.General, block int) (float64, error) {
	if batch, ok := l.(loss.Batch); ok {
		if dp.Data == nil {
			dp = matrix.New(p.Rows, p.Cols)
		}
		return batch.Step(ctx, rows, q, p, dq, dp)
	}
	block = min(max(1, block/max(1, p.Rows)), len(rows))
	sim, grad := matrix.New(block, p.Rows), matrix.New(block, p.Rows)
	var sum float64
	for start := 0; start < len(rows); start += block {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		end := min(start+block, len(rows))
		s, ds, qs := matrix.Rows(sim, 0, end-start), matrix.Rows(grad, 0, end-start), matrix.Rows(q, start, end)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, qs, p, 0, s)
		clear(ds.Data)
		value, err := rowLosses(l, rows[start:end], s, ds, 1/float64(len(rows)))
		if err != nil {
			return 0, err
		}
		sum += value
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, ds, p, 1, matrix.Rows(dq, start, end))
		if dp.Data != nil {
			blas32.Gemm(blas.Trans, blas.NoTrans, 1, ds, qs, 1, dp)
		}
	}
	return sum / float64(len(rows)), nil
}

// rowLosses computes rows in parallel and adds them up in order.
func rowLosses(l loss.Loss, rows []loss.Row, sim, grad blas32.General, scale float64) (float64, error) {
	values, errs := make([]float64, len(rows)), make([]error, len(rows))
	workers := min(runtime.GOMAXPROCS(0), len(rows))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < len(rows); i += workers {
				values[i], errs[i] = l.Row(&rows[i], matrix.Row(sim, i), matrix.Row(grad, i), scale)
			}
		}()
	}
	wg.Wait()
	var sum float64
	for i, err := range errs {
		if err != nil {
			return 0, fmt.Errorf("query %q: %w", rows[i].ID, err)
		}
		sum += values[i]
	}
	return sum, nil
}
