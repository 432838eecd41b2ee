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
	Loss float64 // weighted sum over the rows, divided by their number
	// Parts are those of Loss, where Options.Loss is a loss.Parted or a loss.PartedBatch: one a name of its PartNames.
	Parts    []float64
	LR       float64
	GradNorm float64 // before clipping
	Queries  int
	Passages int // columns of the loss: distinct passages
	Listed   int // passages of the lists, one in several counted in each
	Tokens   int // encoded once, without padding; a second pass is not counted
	Padded   int // the same with the padding of the micro-batches
	// Candidates are, over all queries with a positive, the columns that could be negatives, and Masked those of them that
	// the loss took out as likely to be relevant; 0 where it is no loss.Masker.
	Masked, Candidates int
	// Recomputed are the tokens, padding included, of the micro-batches that took a second forward pass because their
	// graphs did not fit Options.GraphBudget; this worker's alone in a Group.
	Recomputed int
	// Where the time went: waiting for the step's texts, first pass, loss, second forward pass, backward, optimiser, and
	// waiting for and talking to the other workers.
	Prepare, Encode, Similarity, Recompute, Backward, Update, Exchange time.Duration
}

// DistinctShare is that of distinct passages among the lists' passages; above 1 where Options.WholeCorpus adds columns.
func (r StepReport) DistinctShare() float64 { return share(float64(r.Passages), float64(r.Listed)) }

// MaskedShare is that of likely false negatives among what could be negatives, in [0,1].
func (r StepReport) MaskedShare() float64 { return share(float64(r.Masked), float64(r.Candidates)) }

// Evaluation is one look at the student.
type Evaluation struct {
	Step  int     `json:"step"` // steps done before it; 0: the untouched student
	Epoch float64 `json:"epoch"`
	// Score is nDCG@10 on the held-out lists, in [0,1], the negative of their loss, or what Options.Evaluate returned.
	// More is better.
	Score float64 `json:"score"`
	// TrainLoss is the mean loss of the steps since the evaluation before; 0 where there were none.
	TrainLoss float64 `json:"train_loss"`
	// Floor is what Floor.Evaluate returned, after DrawnBack.
	Floor float64 `json:"floor,omitempty"`
	// DrawnBack is the share of the way from the untouched student to the trained one that Options.Floor left; 0: the
	// student was not drawn back.
	DrawnBack float64 `json:"drawn_back,omitempty"`
	// BelowFloor says that the student fell below the floor, and ended training.
	BelowFloor bool `json:"below_floor,omitempty"`
}

// Stop is a reason to end training early.
type Stop string

// The reasons.
const (
	StopPatience Stop = "patience" // Options.Patience evaluations without a better one
	StopFloor    Stop = "floor"    // the student fell below Options.Floor
)

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
	// Stopped says why training ended early; empty where it did not.
	Stopped Stop `json:",omitempty"`
	// TrainLists and DevLists say how the lists were split.
	TrainLists, DevLists int
}
