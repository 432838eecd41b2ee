package loss

import "fmt"

// MarginMSE is the mean squared error between the student's and the teacher's margins, where a margin is the score of
// the positive minus the score of another passage of the list (Hofstätter et al. 2020, arXiv 2010.02666),
//
//	d_i = Scale (s_p - s_i) - (t_p - t_i)
//	loss = mean_{i != p} d_i²,  dloss/ds_i = -2 Scale d_i / (n-1),  dloss/ds_p = 2 Scale sum_i d_i / (n-1)
//
// over a list of n passages. p is the row's Positive, which must be in the list. In a row without a positive, p is the
// passage with the highest teacher score, the first in the list among equals. The loss is 0 for a list of fewer than
// two passages.
//
// Teacher scores may be any finite numbers. The student's similarities are in [-1,1], so set Scale to about the width
// of the range of the teacher's scores: 1 for scores in [0,1], more for logits. The loss ignores Ignore and Count.
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
