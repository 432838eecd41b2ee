package training

import "time"

// Evaluation is one evaluation of the model; retort.Evaluation has the same fields.
type Evaluation struct {
	Step      int           `json:"step"`
	Epoch     float64       `json:"epoch"`
	Score     float64       `json:"score"`
	TrainLoss float64       `json:"train_loss"`
	Retention float64       `json:"retention,omitempty"`
	DrawnBack float64       `json:"drawn_back,omitempty"`
	Forgot    bool          `json:"forgot,omitempty"`
	Took      time.Duration `json:"-"` // 0 in a State
}

// Checkpoint describes a checkpoint to a listener; retort.Checkpoint has the same fields.
type Checkpoint struct {
	Step  int
	Dir   string
	Saved bool
	Took  time.Duration
}

// State is the loop's part of a checkpoint. The order of the items and the schedule follow from Step.
type State struct {
	Run       map[string]string `json:"run"` // everything that decides the result, by name
	Step      int               `json:"step"`
	PartDone  bool              `json:"part_done"` // the evaluation is next
	Done      bool              `json:"done"`
	Best      Evaluation        `json:"best"`
	Worse     int               `json:"worse"` // evaluations since the best one
	History   []Evaluation      `json:"history"`
	LossSum   float64           `json:"loss_sum"` // of the steps since the last evaluation
	LossSteps int               `json:"loss_steps"`
	Stopped   Stop              `json:"stopped,omitempty"`
	// For watchLoss.
	StartLoss    float64   `json:"start_loss"`
	RecentLosses []float64 `json:"recent_losses"`
}

// Stop is a reason for early stopping.
type Stop string

// The reasons.
const (
	StopPatience  Stop = "patience"
	StopRetention Stop = "retention"
)

// BestStep returns the step of the best model, -1 before the first evaluation.
func (s *State) BestStep() int {
	if len(s.History) == 0 {
		return -1
	}
	return s.Best.Step
}

// Evaluated returns the step of the last evaluation, -1 before the first.
func (s *State) Evaluated() int {
	if n := len(s.History); n > 0 {
		return s.History[n-1].Step
	}
	return -1
}
