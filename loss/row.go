package loss

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

// Factor returns the factor of the row's loss and gradient: Weight, or 1 if Weight is 0.
func (r *Row) Factor() float64 {
	if r.Weight == 0 {
		return 1
	}
	return r.Weight
}

// Check returns an error that names the query if the row is malformed or does not match the similarities: lengths that
// differ, a column out of range, a column twice in List, a positive that is ignored, a weight or teacher score that is
// not finite, a negative weight, a similarity of List or Positive that is not finite. A loss must call it first. It
// takes O(n log n) for a list of n and checks neither other columns nor the values of Count.
func (r *Row) Check(sim, grad []float32) error {
	if err := r.checkShapes(sim, grad); err != nil {
		return err
	}
	if !(r.Weight >= 0) || math.IsInf(r.Weight, 0) {
		return r.errorf("weight %v: it must be finite and not negative", r.Weight)
	}
	if err := r.checkColumns(sim); err != nil {
		return err
	}
	for i, t := range r.Teacher {
		if !finite(t) {
			return r.errorf("teacher score %v of column %d", t, r.List[i])
		}
	}
	return r.checkRepeats()
}

func (r *Row) checkShapes(sim, grad []float32) error {
	switch {
	case len(sim) != len(grad):
		return r.errorf("%d similarities, but a gradient of length %d", len(sim), len(grad))
	case len(r.Teacher) != len(r.List):
		return r.errorf("%d passages in the list, but %d teacher scores", len(r.List), len(r.Teacher))
	case r.Count != nil && len(r.Count) != len(sim):
		return r.errorf("%d similarities, but %d counts", len(sim), len(r.Count))
	}
	return nil
}

func (r *Row) checkColumns(sim []float32) error {
	for _, c := range r.List {
		if err := r.checkColumn("list", c, sim); err != nil {
			return err
		}
	}
	if r.Positive != -1 {
		if err := r.checkColumn("positive", r.Positive, sim); err != nil {
			return err
		}
	}
	for _, c := range r.Ignore {
		if c < 0 || int(c) >= len(sim) {
			return r.errorf("ignored column %d is out of range: there are %d similarities", c, len(sim))
		}
		if c == r.Positive {
			return r.errorf("column %d is both the positive and ignored", c)
		}
	}
	return nil
}

func (r *Row) checkColumn(name string, c int32, sim []float32) error {
	if c < 0 || int(c) >= len(sim) {
		return r.errorf("%s column %d is out of range: there are %d similarities", name, c, len(sim))
	}
	if !finite(float64(sim[c])) {
		return r.errorf("similarity %v in column %d", sim[c], c)
	}
	return nil
}

var columnPool = sync.Pool{New: func() any { return new([]int32) }}

func (r *Row) checkRepeats() error {
	buf := columnPool.Get().(*[]int32)
	defer columnPool.Put(buf)
	*buf = append((*buf)[:0], r.List...)
	slices.Sort(*buf)
	for i := 1; i < len(*buf); i++ {
		if (*buf)[i] == (*buf)[i-1] {
			return r.errorf("column %d occurs twice in the list", (*buf)[i])
		}
	}
	return nil
}

// errorf returns an error that names the query.
func (r *Row) errorf(format string, args ...any) error {
	return fmt.Errorf("loss of query %q: "+format, append([]any{r.ID}, args...)...)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

var floatPool = sync.Pool{New: func() any { return new([]float64) }}

// floats returns a scratch slice of length n with undefined contents, to be returned to floatPool.
func floats(n int) *[]float64 {
	buf := floatPool.Get().(*[]float64)
	*buf = slices.Grow((*buf)[:0], n)[:n]
	return buf
}
