package loss

import "fmt"

// MarginMSE is the mean squared error of the student's margins between the positive and every other passage of the list,
// the teacher's margins being the target (Hofstätter et al. 2020, arXiv 2010.02666),
//
//	d_i = Scale (s_p - s_i) - (t_p - t_i)
//	loss = mean_{i != p} d_i²,  dloss/ds_i = -2 Scale d_i / (n-1),  dloss/ds_p = 2 Scale sum_i d_i / (n-1)
//
// over a list of n. p is the row's Positive, which must be in the list; in a row without one it is the teacher's first
// (of equals the one that comes first in the list). It is 0 for a list of one or none.
//
// Teacher scores may be any finite numbers. The authors' students score by inner products without a bound; cosines lie in
// [-1,1], so a teacher's logits need a Scale of about the width of their range, while scores in [0,1] go with 1. Ignore
// and Count play no part.
type MarginMSE struct {
	Scale float64 // of the similarities, > 0; 0 means 1
}

// Validate returns an error that names the wrong field.
func (l MarginMSE) Validate() error { return checkPositive("MarginMSE.Scale", l.Scale) }

// Row implements [Loss].
func (l MarginMSE) Row(r *Row, sim, grad []float32, scale float64) (float64, error) {
	if err := l.Validate(); err != nil {
		return 0, r.errorf("%w", err)
	}
	if err := r.Check(sim, grad); err != nil {
		return 0, err
	}
	if len(r.List) == 0 {
		return 0, nil
	}
	p, err := r.first()
	if err != nil {
		return 0, r.errorf("loss.MarginMSE: %w", err)
	}
	if len(r.List) == 1 {
		return 0, nil
	}
	buf := floats(len(r.List))
	defer floatPool.Put(buf)
	diff, a := *buf, or(l.Scale, 1)
	sp, tp := float64(sim[r.List[p]]), r.Teacher[p]
	var sum, squares float64
	for i, c := range r.List {
		diff[i] = a*(sp-float64(sim[c])) - (tp - r.Teacher[i])
		sum += diff[i]
		squares += diff[i] * diff[i]
	}
	pairs := float64(len(r.List) - 1) // the positive's own difference is 0
	if !finite(squares) {
		return 0, r.errorf("the MarginMSE loss is %v", squares/pairs)
	}
	k := 2 * a * scale * r.Factor() / pairs
	for i, c := range r.List {
		grad[c] -= float32(k * diff[i])
	}
	grad[r.List[p]] += float32(k * sum)
	return r.Factor() * squares / pairs, nil
}

// first returns the index in List of the positive or, in a row without one, of the teacher's first.
func (r *Row) first() (int, error) {
	best := 0
	for i, c := range r.List {
		if c == r.Positive {
			return i, nil
		}
		if r.Teacher[i] > r.Teacher[best] {
			best = i
		}
	}
	if r.Positive != -1 {
		return 0, fmt.Errorf("the positive, column %d, is not in the list and so has no teacher score", r.Positive)
	}
	return best, nil
}
