package retort

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Events are callbacks that watch a run: progress bars, logs, files of metrics. Any of them may be nil. A run calls
// them one at a time and in order, from the goroutine that the run was started in, and waits for each to return. Of the
// workers of a distill.Group, rank 0 alone calls them.
type Events struct {
	// Stage is called when a stage of the run begins, and as its work goes on.
	Stage func(Stage)
	// Step is called after each training step.
	Step func(Step)
	// Evaluation is called after each evaluation of the model that is trained.
	Evaluation func(Evaluation)
	// Checkpoint is called before each checkpoint is written, and again once it is on disk.
	Checkpoint func(Checkpoint)
	// Note is called with a sentence on what the run found on its way.
	Note func(string)
	// Warning is called where something needs attention and the run goes on. nil sends warnings to slog.Default().
	Warning func(Warning)
}

// The stages of training. StageTrain is reported when training begins and when it ends, and Events.Step in between.
const (
	StageSetup       = "setup"       // reading what is trained on; Total is 1
	StageEncode      = "encode"      // passages whose vectors do not change
	StageTrain       = "train"       // steps
	StageInterpolate = "interpolate" // candidates between the untouched and the best weights
)

// Stage is a part of a run and how far it is.
type Stage struct {
	Name string
	// Done units of work of Total, in [0,Total]. What an earlier, interrupted run did counts as done. A unit is what
	// the stage goes through: passages, queries, lists, steps.
	Done, Total int
}

// Step describes one training step. Counts that a trainer does not know are 0.
type Step struct {
	Step  int     // from 1
	Steps int     // planned; training may stop earlier
	Epoch float64 // passes over the training data so far, this step included
	Loss  float64 // mean over the step's queries
	// Parts are the parts of Loss, in the order of PartNames, where the loss is a loss.Parted or a loss.PartedBatch.
	Parts    []LossPart
	LR       float64
	GradNorm float64 // L2 norm of the gradient before clipping

	Queries  int
	Passages int // distinct passages: the columns of the loss
	Listed   int // passages of the lists; a passage in several lists counts in each
	Tokens   int // encoded once, without padding
	Padded   int // the same with the padding of the micro-batches
	// Candidates counts, over all queries with a positive, the columns that could be negatives. Masked counts those
	// that the loss took out as likely to be relevant. Both are 0 unless the loss is a loss.Masker.
	Masked, Candidates int
	// Recomputed are the tokens, padding included, of the micro-batches that took a second forward pass because their
	// graphs did not fit GraphBudget; in a distill.Group, the tokens of rank 0.
	Recomputed  int
	GraphBudget int64 // bytes of graphs that the step could keep

	// Where the time went: waiting for the step's texts, first pass, loss, second forward pass, backward, optimizer,
	// and waiting for and talking to the other workers.
	Prepare, Encode, Similarity, Recompute, Backward, Update, Exchange time.Duration
	// Took is the time of the whole step.
	Took time.Duration
}

// LossPart is one of the terms that a loss adds up.
type LossPart struct {
	Name  string
	Value float64
}

// DistinctShare is the number of distinct passages divided by the number of listed passages: above 1 where
// distill.Options.WholeCorpus adds columns.
func (s Step) DistinctShare() float64 { return share(s.Passages, s.Listed) }

// MaskedShare is the share of likely false negatives among the possible negatives, in [0,1].
func (s Step) MaskedShare() float64 { return share(s.Masked, s.Candidates) }

// PaddingShare is the share of padding among the tokens that were computed, in [0,1).
func (s Step) PaddingShare() float64 { return share(s.Padded-s.Tokens, s.Padded) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Evaluation is one measurement of the model that is trained.
type Evaluation struct {
	Step  int     `json:"step"`  // steps done before it; 0: the untouched model
	Epoch float64 `json:"epoch"` // passes over the training data before it
	// Score is what the best model is chosen by. More is better. The options of the trainer say what it is.
	Score float64 `json:"score"`
	// TrainLoss is the mean loss of the steps since the last evaluation; 0 where there were none.
	TrainLoss float64 `json:"train_loss"`
	// Retention is the score of distill.Retention.Evaluate, after DrawnBack.
	Retention float64 `json:"retention,omitempty"`
	// DrawnBack is the share of the way from the untouched model to the trained one that distill.Retention left; 0: the
	// model was not drawn back.
	DrawnBack float64 `json:"drawn_back,omitempty"`
	// Forgot says that Retention fell too far, which ended training.
	Forgot bool `json:"forgot,omitempty"`
	// Took is the time of the evaluation, for Events alone: 0 in the History of a result.
	Took time.Duration `json:"-"`
}

// Checkpoint is a state of a training from which it can go on.
type Checkpoint struct {
	Step int // steps done
	Dir  string
	// Saved is false before the checkpoint is written, when a listener must make durable whatever must not be behind
	// the checkpoint, and true once it is on disk.
	Saved bool
	Took  time.Duration // of the writing; 0 before it
}

// Warning says what needs attention.
type Warning struct {
	Message string
	Attrs   []slog.Attr // what the message is about
}

// String is one line: the message and its attributes.
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

// WithDefaults returns events without a nil callback: a missing Warning logs to slog.Default(), any other does nothing.
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

// Tee returns events that call the callbacks of all given events, in their order.
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

// stepLogEvery is the time between two steps at the level Info.
const stepLogEvery = 10 * time.Second

// LogEvents returns events that write to a logger: warnings as such, evaluations and one step in ten seconds as
// information, all else at the level Debug.
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
