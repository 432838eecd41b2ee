package distill

import (
	"github.com/retort-ir/retort"
)

// Result is what Train did.
type Result struct {
	// Best is the evaluation of the student that won, and that the student now is; Step 0 is the untouched one. Without
	// an evaluation it is the last step, with Score 0.
	//
	// A Score is nDCG@10 on the held-out lists, in [0,1], the negative of their loss, or what Selection.Evaluate
	// returned.
	Best retort.Evaluation
	// Alpha is the share of the way from the untouched student to the best one that won: 1 but for
	// Selection.Interpolate.
	Alpha float64
	// AlphaScore is the score at Alpha.
	AlphaScore float64
	// History holds all evaluations in order.
	History []retort.Evaluation
	// Steps is the number of steps done, of TotalSteps planned.
	Steps, TotalSteps int
	// Stopped says why training ended early: "patience" after Selection.Patience evaluations without a better one,
	// "retention" where the student forgot more than Options.Retention allows; empty where it did not end early.
	Stopped string `json:",omitempty"`
	// TrainLists and DevLists say how the lists were split.
	TrainLists, DevLists int
}
