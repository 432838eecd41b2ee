package crossencoder

import (
	"fmt"
	"math"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/loss"
)

// TrainOptions are the settings of Train. Start from DefaultTrainOptions.
type TrainOptions struct {
	// Model says how the network is opened and computed. Its MaxTokens is saved with the model; its BatchTokens bounds
	// the tokens that Train keeps a graph of at once (0 means 8,192), which costs memory and changes the result by
	// rounding only. With Precision bf16 weights, moments and the loss stay in float32.
	Model Options

	// Loss is the loss of one query; nil means TrainLoss(1). Its columns are the passages of the query's group, and
	// its similarities are logits, which have no bounds.
	Loss loss.Loss

	Epochs         int     // passes over the examples, at least 1
	QueriesPerStep int     // examples of one step, at least 1
	GroupSize      int     // passages of an example in one step, at least 2
	LR             float64 // peak of the learning rate, > 0
	Warmup         float64 // share of the steps, in [0,1], over which the rate rises to LR; then it falls linearly to 0
	WeightDecay    float64 // of AdamW, >= 0
	ClipNorm       float64 // the gradient's largest L2 norm; 0: no limit
	Seed           uint64  // of a new head's weights, of the order of the examples, and of the groups
	// MaxLossRise ends training with an error where the mean loss of the last ten steps is more than this many times
	// the highest of the run's first ten (a start below 0.01 counts as 0.01); 0: never.
	MaxLossRise float64

	// Dev are held-out examples, by which the best model is chosen: by nDCG@10 of their whole lists where every one has
	// positives (those that are not in the list count as not found), else by the mean loss. Without them the last is
	// taken.
	Dev       []Example
	EvalSteps int // steps between evaluations; 0 means an epoch
	Patience  int // training ends after this many evaluations in a row without a better one; 0 means never

	// Dir is the folder of checkpoints; empty means none. It is made where it does not exist. A run that was killed
	// goes on from there, and on a CPU comes to the same bytes.
	Dir             string
	CheckpointEvery time.Duration // there is one after each evaluation too, and one when the context ends

	// Events watch the training: its stages setup and train, steps, evaluations, checkpoints and warnings.
	Events retort.Events
}

// defaultGraphBatch is the default of TrainOptions.Model.BatchTokens.
const defaultGraphBatch = 8192

// DefaultTrainOptions returns the default settings. The learning rate and the small steps suit a new head, whose loss
// falls only after some dozens of steps. A model that ranks already needs a lower rate.
func DefaultTrainOptions() TrainOptions {
	return TrainOptions{
		Epochs:          2,
		QueriesPerStep:  4,
		GroupSize:       8,
		LR:              1e-4,
		Warmup:          0.1,
		WeightDecay:     0.01,
		ClipNorm:        1,
		MaxLossRise:     20,
		CheckpointEvery: time.Minute,
	}
}

// TrainLoss returns the cross entropy of the positive's logit against those of the group, plus the KL divergence of the
// group's softmax from the softmax of its teacher scores, at temperature teacherTemperature > 0 for the scores and 1 for
// the logits. An example without positives has the second alone, one without scores the first. Scores in [0,1] want a
// teacher's temperature of about 0.3.
func TrainLoss(teacherTemperature float64) loss.Loss {
	return loss.Sum{
		{Weight: 1, Loss: loss.InfoNCE{Temperature: 1}},
		{Weight: 1, Loss: loss.ListwiseKL{TeacherTemperature: teacherTemperature, StudentTemperature: 1}},
	}
}

// Validate names the first field that is wrong.
func (o TrainOptions) Validate() error {
	for _, f := range []struct {
		name  string
		value float64
		ok    bool
		want  string
	}{
		{"Epochs", float64(o.Epochs), o.Epochs >= 1, "at least 1"},
		{"QueriesPerStep", float64(o.QueriesPerStep), o.QueriesPerStep >= 1, "at least 1"},
		{"GroupSize", float64(o.GroupSize), o.GroupSize >= 2, "at least 2"},
		{"LR", o.LR, o.LR > 0 && !math.IsInf(o.LR, 0), "above 0"},
		{"Warmup", o.Warmup, o.Warmup >= 0 && o.Warmup <= 1, "in [0,1]"},
		{"WeightDecay", o.WeightDecay, o.WeightDecay >= 0 && !math.IsInf(o.WeightDecay, 0), "at least 0"},
		{"ClipNorm", o.ClipNorm, o.ClipNorm >= 0 && !math.IsInf(o.ClipNorm, 0), "at least 0"},
		{"MaxLossRise", o.MaxLossRise, o.MaxLossRise >= 0 && !math.IsInf(o.MaxLossRise, 0), "at least 0"},
		{"EvalSteps", float64(o.EvalSteps), o.EvalSteps >= 0, "at least 0"},
		{"Patience", float64(o.Patience), o.Patience >= 0, "at least 0"},
		{"CheckpointEvery", o.CheckpointEvery.Seconds(), o.CheckpointEvery >= 0, "at least 0"},
	} {
		if !f.ok {
			return fmt.Errorf("crossencoder: TrainOptions.%s is %v, want %s", f.name, f.value, f.want)
		}
	}
	if v, ok := o.Loss.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("crossencoder: TrainOptions.Loss: %w", err)
		}
	}
	_, err := o.Model.validate()
	return err
}

func (o TrainOptions) loss() loss.Loss {
	if o.Loss == nil {
		return TrainLoss(1)
	}
	return o.Loss
}
