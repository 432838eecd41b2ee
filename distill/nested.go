package distill

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// validateWidths checks all of Options.Widths but that they fit the student (see checkWidths).
func (o Options) validateWidths() error {
	for i, w := range o.Widths {
		switch {
		case w < 1:
			return fmt.Errorf("distill: Options.Widths: %d, want at least 1", w)
		case i > 0 && w >= o.Widths[i-1]:
			return fmt.Errorf("distill: Options.Widths: %d follows %d, want distinct widths, the largest first", w,
				o.Widths[i-1])
		}
	}
	return nil
}

// checkWidths returns an error if the student's vectors of dim values are narrower than a width.
func (o Options) checkWidths(dim int) error {
	if len(o.Widths) > 0 && o.Widths[0] > dim {
		return fmt.Errorf("distill: Options.Widths: %d is more than the %d values of the student's vectors", o.Widths[0],
			dim)
	}
	return nil
}

// nestedLoss returns the sum of stepLoss over the widths, with the parts of all widths in the order of nestedNames. At
// width w it takes the leading w values of q and p, L2-normalised. It adds the gradients with respect to the whole
// vectors to dq and, if dp has Data, to dp. Without widths it is stepLoss.
func nestedLoss(ctx context.Context, l loss.Loss, rows []loss.Row, q, p, dq, dp blas32.General, block int,
	widths []int,
) (float64, []float64, error) {
	if len(widths) == 0 {
		return stepLoss(ctx, l, rows, q, p, dq, dp, block)
	}
	var sum float64
	var parts []float64
	for _, w := range widths {
		value, partsOf, err := lossAt(ctx, l, rows, q, p, dq, dp, block, w)
		if err != nil {
			return 0, nil, fmt.Errorf("at width %d: %w", w, err)
		}
		sum += value
		if len(partsOf) == 0 {
			partsOf = []float64{value}
		}
		parts = append(parts, partsOf...)
	}
	return sum, parts, nil
}

// lossAt is stepLoss at one width.
func lossAt(ctx context.Context, l loss.Loss, rows []loss.Row, q, p, dq, dp blas32.General, block, width int) (float64,
	[]float64, error,
) {
	if width == q.Cols { // whole vectors are normalised already
		return stepLoss(ctx, l, rows, q, p, dq, dp, block)
	}
	queries, passages := cut(q, width), cut(p, width)
	queries.grad = matrix.New(q.Rows, width)
	if dp.Data != nil {
		passages.grad = matrix.New(p.Rows, width)
	}
	value, parts, err := stepLoss(ctx, l, rows, queries.vectors, passages.vectors, queries.grad, passages.grad, block)
	if err != nil {
		return 0, nil, err
	}
	queries.backward(dq)
	if dp.Data != nil {
		passages.backward(dp)
	}
	return value, parts, nil
}

// leading are the leading values of vectors x, L2-normalised: y = x / |x|.
type leading struct {
	vectors blas32.General // y
	norms   []float64      // |x|
	grad    blas32.General // of the loss with respect to y
}

func cut(x blas32.General, width int) leading {
	vectors, norms := matrix.Leading(x, width)
	return leading{vectors: vectors, norms: norms}
}

// backward adds the gradient with respect to x to dx: dx += (dy - (dy . y) y) / |x|. Zeros have no direction, and their
// gradient counts as 0.
func (c leading) backward(dx blas32.General) {
	for i, norm := range c.norms {
		if norm == 0 {
			continue
		}
		y, dy, out := matrix.Row(c.vectors, i), matrix.Row(c.grad, i), matrix.Row(dx, i)
		radial := matrix.Dot(dy, y)
		for k, g := range dy {
			out[k] += float32((float64(g) - radial*float64(y[k])) / norm)
		}
	}
}

// nestedNames returns the names of the parts of the loss: the names of its terms, once for each width.
func nestedNames(l loss.Loss, widths []int) []string {
	names := partNames(l)
	if len(widths) == 0 {
		return names
	}
	var nested []string
	for _, w := range widths {
		for _, name := range names {
			nested = append(nested, fmt.Sprintf("%s_%d", name, w))
		}
		if len(names) == 0 {
			nested = append(nested, fmt.Sprint(w))
		}
	}
	return nested
}

// atWidth returns the side with the leading values of its vectors, L2-normalised.
func (s *side) atWidth(width int) *side {
	if width == s.vectors.Cols {
		return s
	}
	return &side{rows: s.rows, vectors: cut(s.vectors, width).vectors}
}
