package loss

import "math"

// The temperatures of the listwise loss in the paper's training script (arXiv 2502.19712).
const (
	defaultTeacherTemperature = 0.3
	defaultStudentTemperature = 0.05
)

// ListwiseKL is the divergence KL(P || Q) of the student's distribution Q over the row's list from the teacher's P,
//
//	P = softmax(Teacher / TeacherTemperature),  Q = softmax(sim[List] / StudentTemperature)
//	loss = sum_i P_i (log P_i - log Q_i),       dloss/dsim[List_i] = (Q_i - P_i) / StudentTemperature
//
// Like the paper, it omits the factor tau² of Hinton et al. 2015 (arXiv 1503.02531), so a loss weight that was tuned
// with the factor does not carry over. It is 0 for a list of fewer than two passages.
//
// Teacher scores may be any finite numbers. If a calibration puts them on the student's scale, set TeacherTemperature
// to StudentTemperature. The loss ignores Positive, Ignore and Count. The zero value has the paper's temperatures.
type ListwiseKL struct {
	TeacherTemperature float64 // > 0; 0 means 0.3
	StudentTemperature float64 // > 0; 0 means 0.05
}

// Validate returns an error that names the wrong field.
func (l ListwiseKL) Validate() error {
	if err := checkPositive("ListwiseKL.TeacherTemperature", l.TeacherTemperature); err != nil {
		return err
	}
	return checkPositive("ListwiseKL.StudentTemperature", l.StudentTemperature)
}

// Row implements [Loss].
func (l ListwiseKL) Row(r *Row, sim, grad []float32, scale float64) (float64, error) {
	if err := l.Validate(); err != nil {
		return 0, r.errorf("%w", err)
	}
	if err := r.Check(sim, grad); err != nil {
		return 0, err
	}
	n := len(r.List)
	if n < 2 {
		return 0, nil
	}
	buf := floats(2 * n)
	defer floatPool.Put(buf)
	logP, logQ := (*buf)[:n], (*buf)[n:]
	copy(logP, r.Teacher)
	for i, c := range r.List {
		logQ[i] = float64(sim[c])
	}
	tau := or(l.StudentTemperature, defaultStudentTemperature)
	logSoftmax(logP, or(l.TeacherTemperature, defaultTeacherTemperature))
	logSoftmax(logQ, tau)

	var kl float64
	for i, lp := range logP {
		if p := math.Exp(lp); p > 0 { // p log p goes to 0 with p
			kl += p * (lp - logQ[i])
		}
	}
	if !finite(kl) {
		return 0, r.errorf("the KL divergence is %v", kl)
	}
	k := scale * r.Factor() / tau
	for i, c := range r.List {
		grad[c] += float32(k * (math.Exp(logQ[i]) - math.Exp(logP[i])))
	}
	return r.Factor() * kl, nil
}

// logSoftmax replaces x by log softmax(x / tau).
func logSoftmax(x []float64, tau float64) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	var sum float64
	for i, v := range x {
		x[i] = (v - top) / tau
		sum += math.Exp(x[i])
	}
	logSum := math.Log(sum)
	for i := range x {
		x[i] -= logSum
	}
}
