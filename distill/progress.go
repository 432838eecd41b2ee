package distill

import "time"

// Stage is a part of Train.
type Stage string

// The stages, in order; StageTrain and StageEvaluate take turns.
const (
	StageEncode   Stage = "encode"   // passage vectors of QueryOnly; Done and Total count passages
	StageEvaluate Stage = "evaluate" // Done and Total count evaluations of the run
	StageTrain    Stage = "train"    // Done and Total count steps
)

// Progress is what Options.Progress is told.
type Progress struct {
	Stage Stage
	Done  int
	Total int // of the stage; training may stop earlier
	Step  StepReport
	// Last is the latest evaluation; zero before the first.
	Last Evaluation
}

// StepReport describes one step; zero outside of StageTrain.
type StepReport struct {
	Loss     float64 // weighted sum over the rows, divided by their number
	LR       float64
	GradNorm float64 // before clipping
	Queries  int
	Passages int // columns of the loss: distinct passages
	Tokens   int // encoded once; a second pass is not counted
	// Where the time went.
	Encode, Similarity, Backward, Update time.Duration
}

// Evaluation is one look at the student.
type Evaluation struct {
	Step  int     `json:"step"` // steps done before it; 0: the untouched student
	Epoch float64 `json:"epoch"`
	// Score is nDCG@10 on the held-out lists, in [0,1], or what Options.Evaluate returned.
	Score float64 `json:"score"`
	// TrainLoss is the mean loss of the steps since the evaluation before; 0 where there were none.
	TrainLoss float64 `json:"train_loss"`
}

// Result is what Train did.
type Result struct {
	// Best is the evaluation of the student that won, and that the student now is; Step 0 is the untouched one. Without
	// an evaluation it is the last step, with Score 0.
	Best Evaluation
	// Alpha is the share of the way from the untouched student to the best one that won: 1 but for Options.Interpolate.
	Alpha float64
	// AlphaScore is the score at Alpha.
	AlphaScore float64
	// History holds all evaluations in order.
	History []Evaluation
	// Steps is the number of steps done, of TotalSteps planned.
	Steps, TotalSteps int
	// TrainLists and DevLists say how the lists were split.
	TrainLists, DevLists int
	// KeptGraph says that no step needed a second forward pass.
	KeptGraph bool
}
