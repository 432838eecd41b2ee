package loss

import "fmt"

// Joint is the loss of Tamber et al. 2025 (arXiv 2502.19712): listwise distillation with some contrastive learning beside
// it,
//
//	loss = ListwiseKL(TeacherTemperature, StudentTemperature) + InfoNCEWeight x InfoNCE(InfoNCETemperature, MaskRatio)
//
// [Paper] returns it with the authors' constants. It equals their loss over the whole step, in which a passage stands as
// often as in the lists, where
//   - a row's columns are the distinct passages of the step's lists, so that in-batch negatives and those of the query's
//     own list are all there,
//   - Row.Count holds the number of the step's lists that each passage stands in (distill.Options.CountDuplicates),
//   - Row.Positive is the teacher's first (distill's choice for queries that are not cut from their passage),
//   - Row.Teacher is scaled to [0,1] from the 1st to the 99th percentile of all scores of the same query type and
//     retriever, and clipped (distill.PercentileMinMax, teacher.PercentileMinMax).
//
// A passage that is masked is masked wherever it stands in the step, since it has one column.
//
// The zero value has the paper's temperatures and no InfoNCE.
type Joint struct {
	TeacherTemperature float64 // of the KL's target, > 0; 0 means DefaultTeacherTemperature
	StudentTemperature float64 // of the student in the KL, > 0; 0 means DefaultStudentTemperature
	InfoNCEWeight      float64 // >= 0; 0: no InfoNCE
	InfoNCETemperature float64 // > 0; 0 means DefaultInfoNCETemperature
	// MaskRatio, in [0,1], takes the passages of the query's list that score above MaskRatio times the list's top score out
	// of InfoNCE's negatives, copies of the positive among them. 0 means no mask. It needs teacher scores in [0,1].
	MaskRatio float64
}

// Paper returns the joint loss with the constants of the authors' training script: temperatures of 0.3 for the teacher and
// 0.05 for the student, without the factor tau²; 0.1 x InfoNCE at a temperature of 0.01; a mask above 0.6.
func Paper() Joint {
	return Joint{TeacherTemperature: 0.3, StudentTemperature: 0.05, InfoNCEWeight: 0.1, InfoNCETemperature: 0.01, MaskRatio: 0.6}
}

// Sum returns the same loss as a sum of its two terms.
func (j Joint) Sum() Sum {
	return Sum{{Weight: 1, Loss: j.kl()}, {Weight: j.InfoNCEWeight, Loss: j.infoNCE()}}
}

func (j Joint) kl() ListwiseKL {
	return ListwiseKL{TeacherTemperature: j.TeacherTemperature, StudentTemperature: j.StudentTemperature}
}

func (j Joint) infoNCE() InfoNCE {
	return InfoNCE{Temperature: j.InfoNCETemperature, MaskRatio: j.MaskRatio}
}

// Validate returns an error that names the wrong field.
func (j Joint) Validate() error {
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"Joint.TeacherTemperature", j.TeacherTemperature},
		{"Joint.StudentTemperature", j.StudentTemperature},
		{"Joint.InfoNCETemperature", j.InfoNCETemperature},
	} {
		if err := checkPositive(f.name, f.value); err != nil {
			return err
		}
	}
	switch {
	case !(j.InfoNCEWeight >= 0) || !finite(j.InfoNCEWeight):
		return fmt.Errorf("loss: Joint.InfoNCEWeight is %v: it must be finite and not negative", j.InfoNCEWeight)
	case !(j.MaskRatio >= 0 && j.MaskRatio <= 1):
		return fmt.Errorf("loss: Joint.MaskRatio is %v: it must be in [0,1], 0 for no mask", j.MaskRatio)
	}
	return nil
}

// Row implements [Loss].
func (j Joint) Row(r *Row, sim, grad []float32, scale float64) (float64, error) {
	if err := j.Validate(); err != nil {
		return 0, r.errorf("%w", err)
	}
	kl, err := j.kl().Row(r, sim, grad, scale)
	if err != nil || j.InfoNCEWeight == 0 {
		return kl, err
	}
	nce, err := j.infoNCE().Row(r, sim, grad, scale*j.InfoNCEWeight)
	if err != nil {
		return 0, err
	}
	return kl + j.InfoNCEWeight*nce, nil
}
