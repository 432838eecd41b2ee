package loss

import (
	"fmt"
	"math"
)

// DefaultInfoNCETemperature is the temperature of the paper's training script (arXiv 2502.19712).
const DefaultInfoNCETemperature = 0.01

// InfoNCE is the cross entropy of the positive against the other columns of the step,
//
//	loss = -log( exp(s_p/tau) / Z ),  Z = exp(s_p/tau) + sum_{j in N} Count_j exp(s_j/tau)
//	dloss/ds_j = Count_j exp(s_j/tau) / (tau Z),  dloss/ds_p = (exp(s_p/tau) / Z - 1) / tau
//
// where p is the row's Positive and N holds every other column that occurs in the step and is neither in Ignore nor
// masked. The loss of a row without a positive or without negatives is 0.
//
// Count is for steps that encode a passage once although several lists contain it. The loss then equals the loss over a
// batch that repeats each passage Count times. The positive always counts once. The time is O(columns). Terms below
// e^-60 of the largest term count as 0, which is far below the float64 rounding of Z.
//
// The zero value has the paper's temperature and no mask.
type InfoNCE struct {
	Temperature float64 // > 0; 0 means DefaultInfoNCETemperature
	// MaskRatio excludes likely false negatives: a column of the row's own List is no negative if its teacher score is
	// above MaskRatio times the list's top score. It is in [0,1]; 0 means no mask. It requires teacher scores in [0,1];
	// Row returns an error for other scores in a row with a positive.
	MaskRatio float64
}

// Validate returns an error that names the wrong field.
func (l InfoNCE) Validate() error {
	if err := checkPositive("InfoNCE.Temperature", l.Temperature); err != nil {
		return err
	}
	if !(l.MaskRatio >= 0 && l.MaskRatio <= 1) {
		return fmt.Errorf("loss: InfoNCE.MaskRatio is %v: it must be in [0,1], 0 for no mask", l.MaskRatio)
	}
	return nil
}

// Row implements [Loss].
func (l InfoNCE) Row(r *Row, sim, grad []float32, scale float64) (float64, error) {
	if err := l.Validate(); err != nil {
		return 0, r.errorf("%w", err)
	}
	if err := r.Check(sim, grad); err != nil {
		return 0, err
	}
	if r.Positive == -1 {
		return 0, nil
	}
	buf := floats(len(sim))
	defer floatPool.Put(buf)
	x := *buf
	if err := l.negatives(r, sim, x); err != nil {
		return 0, err
	}

	tau := or(l.Temperature, DefaultInfoNCETemperature)
	positive := float64(sim[r.Positive])
	top := positive
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	dp := (positive - top) / tau
	ep := math.Exp(dp)
	rest := expSum(x, r.Count, top, tau)
	nce := math.Log1p(rest) // the positive is the top and ep is 1; exact where the rest is small
	if dp != 0 {
		nce = math.Log(ep+rest) - dp
	}
	if !finite(nce) {
		return 0, r.errorf("the InfoNCE loss is %v", nce)
	}

	k := scale * r.Factor() / tau / (ep + rest)
	addScaled(grad, k, x)
	grad[r.Positive] -= float32(k * rest)
	return r.Factor() * nce, nil
}

// negatives fills x with the similarities of the negatives and -Inf elsewhere.
func (l InfoNCE) negatives(r *Row, sim []float32, x []float64) error {
	for i, s := range sim {
		if s-s != 0 {
			return r.errorf("similarity %v in column %d", s, i)
		}
		x[i] = float64(s)
	}
	none := math.Inf(-1)
	for i, c := range r.Count {
		if !(c >= 0 && c <= math.MaxFloat32) {
			return r.errorf("count %v of column %d", c, i)
		}
		if c == 0 {
			x[i] = none
		}
	}
	buf := columnPool.Get().(*[]int32)
	defer columnPool.Put(buf)
	var err error
	if *buf, err = l.Masked((*buf)[:0], r); err != nil {
		return err
	}
	for _, c := range *buf {
		x[c] = none
	}
	return nil
}

// Masked implements [Masker]: it appends to columns the columns that are not negatives of the row, regardless of Count:
// the positive, Ignore, and the columns that MaskRatio excludes. A column may occur twice. It returns an error that
// names the query if MaskRatio is set and a teacher score is outside [0,1]. The row must have passed Row.Check. For a
// row without a positive it appends nothing.
func (l InfoNCE) Masked(columns []int32, r *Row) ([]int32, error) {
	if r.Positive == -1 {
		return columns, nil
	}
	columns = append(append(columns, r.Positive), r.Ignore...)
	if l.MaskRatio == 0 {
		return columns, nil
	}
	var best float64
	for i, t := range r.Teacher {
		if t < 0 || t > 1 {
			return columns, r.errorf("teacher score %v of column %d is outside [0,1], but InfoNCE.MaskRatio requires scores "+
				"in [0,1]", t, r.List[i])
		}
		best = max(best, t)
	}
	for i, c := range r.List {
		if r.Teacher[i] > l.MaskRatio*best {
			columns = append(columns, c)
		}
	}
	return columns, nil
}

// negligible is the log of a term so small that 2^33 such terms do not change a sum of 1 in float64.
const negligible = -60

// expSum replaces x by count * exp((x-top)/tau) and returns the sum. No count means 1.
func expSum(x []float64, count []float32, top, tau float64) float64 {
	var sum float64
	perTau := 1 / tau
	for i, v := range x {
		d := (v - top) * perTau
		if d < negligible {
			x[i] = 0
			continue
		}
		e := math.Exp(d)
		if count != nil {
			e *= float64(count[i])
		}
		x[i] = e
		sum += e
	}
	return sum
}

// addScaled adds k * x to grad.
func addScaled(grad []float32, k float64, x []float64) {
	x = x[:len(grad)]
	for i := range grad {
		grad[i] += float32(k * x[i])
	}
}
