package retort

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Events are callbacks that observe a run, for progress bars, logs and metrics. Any callback may be nil. A run calls
// them one at a time and in order, from the goroutine that started the run, and waits for each to return. In a
// distill.Group only rank 0 calls them.
type Events struct {
	// Stage is called when a stage of the run begins, and as the stage makes progress.
	Stage func(Stage)
	// Step is called after each training step.
	Step func(Step)
	// Evaluation is called after each evaluation of the model in training.
	Evaluation func(Evaluation)
	// Checkpoint is called before each checkpoint is written, and again after it is on disk.
	Checkpoint func(Checkpoint)
	// Note is called with a sentence about the run that a user should read, such as a choice that the run made.
	Note func(string)
	// Warning is called when a problem needs attention but the run continues. nil logs warnings to slog.Default().
	Warning func(Warning)
}

// The stages of training. Events.Stage reports StageTrain at the start and the end of training; in between, Events.Step
// reports the steps.
const (
	StageSetup       = "setup"       // reading the training data; Total is 1
	StageEncode      = "encode"      // encoding passages whose vectors do not change
	StageTrain       = "train"       // steps
	StageInterpolate = "interpolate" // evaluating weights between the initial and the best weights
)

// Stage is a part of a run and its progress.
type Stage struct {
	Name string
	// Done of Total units of work are complete, 0 <= Done <= Total. The work of an earlier, interrupted run counts. A
	// unit is a passage, query, list or step, depending on the stage.
	Done, Total int
}

// Step describes one training step. Counts that do not apply to a trainer are 0.
type Step struct {
	Step  int     // from 1
	Steps int     // planned number of steps; training may stop earlier
	Epoch float64 // passes over the training data so far, this step included
	Loss  float64 // mean loss over the step's queries
	// Parts are the terms of Loss, in the order of PartNames, if the loss is a loss.Parted or a loss.PartedBatch.
	Parts    []LossPart
	LR       float64
	GradNorm float64 // L2 norm of the gradient before clipping

	Queries  int
	Passages int // distinct passages, the columns of the loss
	Listed   int // passages in the lists; a passage in several lists counts once for each
	Tokens   int // tokens of the step's texts, without padding
	Padded   int // Tokens plus the padding of the micro-batches
	// Candidates is the number of possible negatives, summed over the queries with a positive. Masked is the number of
	// possible negatives that the loss excluded as likely false negatives. Both are 0 unless the loss is a loss.Masker.
	Masked, Candidates int
	// Recomputed is the number of tokens, padding included, in the micro-batches that needed a second forward pass
	// because their graphs exceeded GraphBudget. In a distill.Group it counts the tokens of rank 0 only.
	Recomputed  int
	GraphBudget int64 // bytes available for graphs

	// The duration of each phase: waiting for the step's texts, first forward pass, loss, second forward pass, backward
	// pass, optimizer, and communication with the other workers, waiting included.
	Prepare, Encode, Similarity, Recompute, Backward, Update, Exchange time.Duration
	// Took is the duration of the whole step.
	Took time.Duration
}

// LossPart is the value of one term of a loss.
type LossPart struct {
	Name  string
	Value float64
}

// DistinctShare is Passages / Listed. It exceeds 1 if distill.Options.WholeCorpus adds columns.
func (s Step) DistinctShare() float64 { return share(s.Passages, s.Listed) }

// MaskedShare is Masked / Candidates, the share of possible negatives that the loss excluded, in [0,1].
func (s Step) MaskedShare() float64 { return share(s.Masked, s.Candidates) }

// PaddingShare is the share of padding among the computed tokens, in [0,1).
func (s Step) PaddingShare() float64 { return share(s.Padded-s.Tokens, s.Padded) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Evaluation is one measurement of the model in training.
type Evaluation struct {
	Step  int     `json:"step"`  // completed steps; 0: the initial model
	Epoch float64 `json:"epoch"` // completed passes over the training data
	// Score is the measure that the best model is chosen by; higher is better. The trainer's options define it.
	Score float64 `json:"score"`
	// TrainLoss is the mean loss of the steps since the last evaluation; 0 if there were none.
	TrainLoss float64 `json:"train_loss"`
	// Retention is the score of distill.Retention.Evaluate, after DrawnBack.
	Retention float64 `json:"retention,omitempty"`
	// DrawnBack is the weight of the trained model in the interpolation with the initial model that distill.Retention
	// made, in (0,1); 0 if it made none.
	DrawnBack float64 `json:"drawn_back,omitempty"`
	// Forgot is true if Retention fell below its limit, which ended training.
	Forgot bool `json:"forgot,omitempty"`
	// Took is the duration of the evaluation. It is set for Events only and 0 in the History of a result.
	Took time.Duration `json:"-"`
}

// Checkpoint is a saved state from which training can resume.
type Checkpoint struct {
	Step int // completed steps
	Dir  string
	// Saved is false before the checkpoint is written and true after. A listener that writes files must sync them while
	// Saved is false, so that they are never behind the checkpoint.
	Saved bool
	Took  time.Duration // duration of the write; 0 before it
}

// Warning is a problem that does not end a run.
type Warning struct {
	Message string
	Attrs   []slog.Attr // details, such as file names and values
}

// String returns one line: the message and its attributes.
func (w Warning) String() string {
	var b strings.Builder
	b.WriteString(w.Message)
	separator := ": "
	for _, a := range w.Attrs {
		fmt.Fprintf(&b, "%s%s %v", separator, a.Key, a.Value)
		separator = ", "
	}
	return b.String()
}

// WithDefaults returns events in which no callback is nil: a nil Warning logs to slog.Default(), and every other nil
// callback does nothing.
func (e Events) WithDefaults() Events {
	nothing := Events{
		Stage: func(Stage) {}, Step: func(Step) {}, Evaluation: func(Evaluation) {}, Checkpoint: func(Checkpoint) {},
		Note: func(string) {},
	}
	if e.Warning == nil {
		e.Warning = func(w Warning) { logWarning(slog.Default(), w) }
	}
	return Tee(nothing, e)
}

// Tee returns events that call the callbacks of all given events in order.
func Tee(all ...Events) Events {
	var tee Events
	for _, e := range all {
		tee.Stage = both(tee.Stage, e.Stage)
		tee.Step = both(tee.Step, e.Step)
		tee.Evaluation = both(tee.Evaluation, e.Evaluation)
		tee.Checkpoint = both(tee.Checkpoint, e.Checkpoint)
		tee.Note = both(tee.Note, e.Note)
		tee.Warning = both(tee.Warning, e.Warning)
	}
	return tee
}

func both[T any](first, second func(T)) func(T) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(v T) {
		first(v)
		second(v)
	}
}

// stepLogEvery is the shortest time between two steps logged at level Info.
const stepLogEvery = 10 * time.Second

// LogEvents returns events that write to a logger: warnings at level Warn; notes, evaluations and a step every ten
// seconds at level Info; everything else at level Debug.
func LogEvents(log *slog.Logger) Events {
	ctx := context.Background()
	logged := time.Now()
	return Events{
		Stage: func(s Stage) { log.Debug("stage", "stage", s.Name, "done", s.Done, "total", s.Total) },
		Step: func(s Step) {
			level := slog.LevelDebug
			if time.Since(logged) >= stepLogEvery {
				level, logged = slog.LevelInfo, time.Now()
			}
			log.Log(ctx, level, "step", "step", s.Step, "steps", s.Steps, "loss", s.Loss, "grad_norm", s.GradNorm,
				"lr", s.LR)
		},
		Evaluation: func(e Evaluation) {
			attrs := []any{"step", e.Step, "score", e.Score, "train_loss", e.TrainLoss}
			if e.Retention != 0 {
				attrs = append(attrs, "retention", e.Retention)
			}
			log.Info("evaluation", attrs...)
		},
		Checkpoint: func(c Checkpoint) {
			if c.Saved {
				log.Debug("checkpoint", "step", c.Step, "dir", c.Dir, "took", c.Took)
			}
		},
		Note:    func(text string) { log.Info(text) },
		Warning: func(w Warning) { logWarning(log, w) },
	}
}

func logWarning(log *slog.Logger, w Warning) {
	log.LogAttrs(context.Background(), slog.LevelWarn, w.Message, w.Attrs...)
}
