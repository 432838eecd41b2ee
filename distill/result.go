package distill

import (
	"github.com/retort-ir/retort"
)

// Result is the outcome of Train.
type Result struct {
	// Best is the evaluation of the best student, whose weights the student now has; Step 0 is the initial student.
	// Without evaluations it is the last step, with Score 0.
	//
	// A Score is nDCG@10 on the held-out lists, in [0,1], the negative of their loss, or what Selection.Evaluate
	// returned.
	Best retort.Evaluation
	// Alpha is the weight of the best student in the interpolation with the initial student that won, in [0,1]; 1
	// without Selection.Interpolate.
	Alpha float64
	// AlphaScore is the score at Alpha.
	AlphaScore float64
	// History holds all evaluations in order.
	History []retort.Evaluation
	// Steps is the number of completed steps, of TotalSteps planned.
	Steps, TotalSteps int
	// Stopped says why training ended early: "patience" after Selection.Patience evaluations without a better one,
	// "retention" where the student forgot more than Options.Retention allows; empty where it did not end early.
	Stopped string `json:",omitempty"`
	// TrainLists and DevLists say how the lists were split.
	TrainLists, DevLists int
}
