package distill

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// blockElements is the number of similarities in memory at a time, with as many gradients. It is a constant because the
// block size determines the order of summation.
const blockElements = 4 << 20

// stepLoss returns the mean loss of the rows, and of its parts if l is a loss.Parted or a loss.PartedBatch, for the
// vectors of queries q [n x d] and passages p [m x d]. It adds the gradients to dq and, if dp has Data, to dp.
func stepLoss(ctx context.Context, l loss.Loss, rows []loss.Row, q, p, dq, dp blas32.General, block int) (float64,
	[]float64, error,
) {
	if batch, ok := l.(loss.Batch); ok {
		if dp.Data == nil {
			dp = matrix.New(p.Rows, p.Cols)
		}
		value, parts, err := batchStep(ctx, batch, rows, q, p, dq, dp)
		if err == nil {
			err = checkLoss(value)
		}
		return value, parts, err
	}
	block = min(max(1, block/max(1, p.Rows)), len(rows))
	sim, grad := matrix.New(block, p.Rows), matrix.New(block, p.Rows)
	var sum float64
	parts := make([]float64, len(partNames(l)))
	for start := 0; start < len(rows); start += block {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		end := min(start+block, len(rows))
		s, ds, qs := matrix.Rows(sim, 0, end-start), matrix.Rows(grad, 0, end-start), matrix.Rows(q, start, end)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, qs, p, 0, s)
		clear(ds.Data)
		value, err := rowLosses(l, rows[start:end], s, ds, 1/float64(len(rows)), parts)
		if err != nil {
			return 0, nil, err
		}
		sum += value
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, ds, p, 1, matrix.Rows(dq, start, end))
		if dp.Data != nil {
			blas32.Gemm(blas.Trans, blas.NoTrans, 1, ds, qs, 1, dp)
		}
	}
	for i := range parts {
		parts[i] /= float64(len(rows))
	}
	sum /= float64(len(rows))
	return sum, parts, checkLoss(sum)
}

func batchStep(ctx context.Context, l loss.Batch, rows []loss.Row, q, p, dq, dp blas32.General) (float64, []float64,
	error,
) {
	if parted, ok := l.(loss.PartedBatch); ok {
		parts := make([]float64, len(parted.PartNames()))
		value, err := parted.StepParts(ctx, rows, q, p, dq, dp, parts)
		return value, parts, err
	}
	value, err := l.Step(ctx, rows, q, p, dq, dp)
	return value, nil, err
}

func partNames(l loss.Loss) []string {
	switch p := l.(type) {
	case loss.Parted:
		return p.PartNames()
	case loss.PartedBatch:
		return p.PartNames()
	}
	return nil
}

// rowLosses computes rows in parallel and sums losses and parts in the order of the rows.
func rowLosses(l loss.Loss, rows []loss.Row, sim, grad blas32.General, scale float64, parts []float64) (float64,
	error,
) {
	values, errs := make([]float64, len(rows)), make([]error, len(rows))
	parted, _ := l.(loss.Parted)
	partsOf := matrixOf(len(rows), len(parts))
	workers := min(runtime.GOMAXPROCS(0), len(rows))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < len(rows); i += workers {
				s, ds := matrix.Row(sim, i), matrix.Row(grad, i)
				if parted != nil {
					values[i], errs[i] = parted.RowParts(&rows[i], s, ds, scale, partsOf[i])
				} else {
					values[i], errs[i] = l.Row(&rows[i], s, ds, scale)
				}
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
		for k, v := range partsOf[i] {
			parts[k] += v
		}
	}
	return sum, nil
}

func matrixOf(rows, columns int) [][]float64 {
	m := make([][]float64, rows)
	for i := range m {
		m[i] = make([]float64, columns)
	}
	return m
}

// maskedColumns counts, over all rows with a positive, the possible negatives and the possible negatives that the loss
// excludes.
func maskedColumns(l loss.Loss, rows []loss.Row, columns int) (masked, candidates int) {
	m, ok := l.(loss.Masker)
	if !ok {
		return 0, 0
	}
	var out []int32
	for i := range rows {
		if rows[i].Positive < 0 {
			continue
		}
		var err error
		if out, err = m.Masked(out[:0], &rows[i]); err != nil || len(out) == 0 {
			continue // the loss itself returns the error of the row
		}
		slices.Sort(out)
		masked += len(slices.Compact(out)) - 1
		candidates += columns - 1
	}
	return masked, candidates
}
