package loss

import (
	"fmt"
	"math"
)

// DefaultInfoNCETemperature is the paper's (arXiv 2502.19712, training script).
const DefaultInfoNCETemperature = 0.01

// InfoNCE is the cross entropy of the positive against the other columns of the step,
//
//	loss = -log( exp(s_p/tau) / Z ),  Z = exp(s_p/tau) + sum_{j in N} Count_j exp(s_j/tau)
//	dloss/ds_j = Count_j exp(s_j/tau) / (tau Z),  dloss/ds_p = (exp(s_p/tau) / Z - 1) / tau
//
// where p is the row's Positive and N holds every other column that is not in Ignore, not masked and occurs in the step.
// A row without a positive adds nothing. Without negatives the loss is 0.
//
// Count is for steps that encode a passage once though it stands in many lists: the loss equals that over the batch in
// which it stands as often as in the lists, with every recurrence of the positive masked, so that the positive counts
// once whatever its Count. It takes O(columns), dominated by one exponential each; columns whose term is less than
// e^-60 of the largest are taken as 0, which is far below float64's rounding of Z.
//
// The zero value has the paper's temperature and no mask.
type InfoNCE struct {
	Temperature float64 // > 0; 0 means DefaultInfoNCETemperature
	// MaskRatio takes likely false negatives out: no column of the row's own List with a teacher score above MaskRatio
	// times the list's top score is a negative. It is in [0,1]; 0 means no mask. It has a meaning only for teacher scores
	// in [0,1]: others are refused (in rows with a positive).
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

// Masked appends to columns those that are no negatives of the row, whatever its Count: the positive, Ignore, and what
// MaskRatio takes out of the list. A column may come twice. It returns an error that names the query where MaskRatio is
// not defined on the teacher scores. The row must have passed Row.Check; without a positive there is nothing to append.
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
			return columns, r.errorf("teacher score %v of column %d is outside [0,1], on which InfoNCE.MaskRatio is defined", t, r.List[i])
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

// negligible is the log of a term beside 1 that does not change a sum of up to 2^33 such terms in float64.
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
