package distill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/loss"
)

// Towers says which side of the student learns.
type Towers uint8

const (
	// Both trains queries and passages through the same weights. After it passages must be encoded anew.
	Both Towers = iota
	// QueryOnly trains the query tower. The student must implement encoder.Splitter; passage vectors stay as they are.
	QueryOnly
)

func (t Towers) String() string {
	switch t {
	case Both:
		return "both"
	case QueryOnly:
		return "query"
	}
	return fmt.Sprintf("Towers(%d)", uint8(t))
}

// The constants of AdamW.
const (
	beta1 = 0.9
	beta2 = 0.999
	eps   = 1e-8
)

// Options of Train. Start from DefaultOptions.
type Options struct {
	Towers Towers
	// Loss is the loss of one list; nil means DefaultLoss. A loss that implements loss.Batch too is given whole steps.
	Loss loss.Loss
	// CountDuplicates fills loss.Row.Count with the number of lists of the step that a passage stands in, as the paper's
	// loss wants it. Off, a passage counts once.
	CountDuplicates bool
	// WholeCorpus gives the loss a column for every passage of the corpus instead of those of the step's lists. It needs
	// QueryOnly.
	WholeCorpus bool
	// Vectors are the student's passage vectors [corpus.Len() x d], where somebody has computed them already; for
	// QueryOnly. Without them those that are needed are encoded first.
	Vectors blas32.General

	Epochs         int     // passes over the lists, at least 1
	QueriesPerStep int     // lists of one step, at least 1
	LR             float64 // peak of the learning rate, > 0
	Warmup         float64 // share of the steps, in [0,1], over which the rate rises from 0 to LR
	MinLR          float64 // the linear decay towards 0 stops at this share of LR, in [0,1]
	WeightDecay    float64 // >= 0
	ClipNorm       float64 // the gradient's largest L2 norm; 0: no limit
	Seed           uint64  // of the order of the lists

	// MicroBatchTokens bounds the tokens of one micro-batch, padding included: texts times the longest one's tokens. It
	// costs memory, and an ending context waits for one micro-batch.
	MicroBatchTokens int
	// GraphBudget bounds the bytes of the graphs that a step keeps from its first pass over the texts, so that these need
	// no second one: of as many micro-batches as fit, if the student is an encoder.GraphSizer. The result is the same to
	// rounding. 0 chooses a quarter of the memory that is free when the run begins, 4 GiB at most, and 1 GiB where the
	// system does not tell; of a Group, that of rank 0's machine, divided by the number of workers. A resumed run keeps that
	// choice. It is the host's memory: for a small GPU set it. Below 0 none is kept.
	GraphBudget int64

	// DevFraction is the share of the lists' sources (of the lists, where they have none) that is held out, in [0,1).
	// With 0 nothing is, and the last student is taken.
	//
	// What it measures is agreement with the teacher, which is not the same as being better, and where the teacher
	// contains the student (BM25 and the student itself, fused) the untouched student agrees best of all. On the
	// documentation of Go this nDCG@10 fell from .766 to .664 in the first epoch and rose to .722 after, so the untouched
	// student would have won although the queries that people wrote gained (.3566 to .3911, docs/results.md). There choose
	// by Evaluate: with judged queries where there are any, else with KnownItems, queries of a type that is not trained on.
	// The best of several is a little better by chance, so ask a paired test too: on SciFact the known items' MRR@10
	// rose by .001 where judged queries lost .024.
	DevFraction float64
	// Dev are lists to evaluate on instead of a share of the lists.
	Dev []retort.List
	// Evaluate replaces nDCG@10 on held-out lists, and nothing is held out. More is better. KnownItems.MRR is one that
	// needs no judgements.
	Evaluate func(ctx context.Context, student encoder.Encoder) (float64, error)
	// ChooseBy says what makes a student better on held-out lists.
	ChooseBy ChooseBy
	// EvalSteps is the number of steps between evaluations; 0 means an epoch.
	EvalSteps int
	// Patience ends training after this many evaluations in a row without a better one; 0 means never.
	Patience int
	// Interpolate holds candidates for alpha in [0,1]: at the end the weights start + alpha (best - start) are evaluated
	// too, and the best alpha wins. The student must implement encoder.Parametric. 0 and 1 need not be named: they are
	// the untouched and the best student.
	Interpolate []float64
	// Floor holds the student to what it could do before on other queries. Its zero value holds nothing.
	Floor Floor
	// MaxLossRise ends training with ErrExplodingLoss where the mean loss of the last ten steps is more than this many times
	// the highest of the run's first ten (a start below 0.01 counts as 0.01); 0: never.
	MaxLossRise float64

	// Group are the workers that share out each step, nil: one worker. Each is given the same corpus, lists and options and a
	// student with the same weights, and encodes its share of a step's texts; vectors are exchanged, so that every query sees
	// the passages of all workers, and gradients are added up. The result is that of one worker to rounding. Rank 0
	// alone evaluates (Evaluate and Floor.Evaluate are called there only), writes checkpoints and metrics, logs and reports
	// progress, and a run may go on from its checkpoint with another number of workers. Train returns the same result on all,
	// and leaves the same student. The student must implement encoder.Parametric with SetGrad. A loss.Batch must be safe for
	// concurrent use where workers share it. Workers on one machine should share its cores out among them.
	Group Group

	// Dir is the folder of checkpoints; empty means none. It is made where it does not exist.
	Dir string
	// CheckpointEvery is the time between checkpoints. There is one after each evaluation too, and one when the context ends.
	CheckpointEvery time.Duration

	// MetricsDir is a folder for what every step and evaluation was like; empty means none. steps.csv and evaluations.csv
	// have a line each, and an event file holds the same for TensorBoard. They are appended to as training goes on, and a
	// resumed run first cuts off the steps that it makes again, so that each stands there once.
	MetricsDir string
	// Log is told what happens: a checkpoint that was passed over as a warning, evaluations and the like as information,
	// steps at the level Debug. nil means that slog.Default() is told of warnings alone.
	Log *slog.Logger
	// Profile, where set, is where Train adds up where its time goes, and can be read once Train has returned.
	Profile *Profile
	// Progress, where set, is called after every step and now and then during what takes long, from Train's goroutine.
	Progress func(Progress)
}

// DefaultOptions returns the settings that the others are changes of: both towers, 3 epochs of 32 lists a step at 1e-4.
func DefaultOptions() Options {
	return Options{
		Epochs:           3,
		QueriesPerStep:   32,
		LR:               1e-4,
		Warmup:           0.1,
		MinLR:            0.1,
		WeightDecay:      0.01,
		ClipNorm:         1,
		MicroBatchTokens: 2048,
		DevFraction:      0.1,
		Patience:         2,
		MaxLossRise:      20,
		CheckpointEvery:  time.Minute,
	}
}

// DefaultLoss returns KL divergence over the list, at temperature 0.3 for the teacher and 0.05 for the student, plus 0.1
// times InfoNCE at temperature 0.05. Unlike loss.Paper it takes scores of any scale.
func DefaultLoss() loss.Loss {
	return loss.Sum{
		{Weight: 1, Loss: loss.ListwiseKL{TeacherTemperature: 0.3, StudentTemperature: 0.05}},
		{Weight: 0.1, Loss: loss.InfoNCE{Temperature: 0.05}},
	}
}

// Validate names the first field that is wrong.
func (o Options) Validate() error {
	for _, f := range []struct {
		name  string
		value float64
		ok    bool
		want  string
	}{
		{"Towers", float64(o.Towers), o.Towers <= QueryOnly, "Both or QueryOnly"},
		{"Epochs", float64(o.Epochs), o.Epochs >= 1, "at least 1"},
		{"QueriesPerStep", float64(o.QueriesPerStep), o.QueriesPerStep >= 1, "at least 1"},
		{"LR", o.LR, o.LR > 0 && !math.IsInf(o.LR, 0), "above 0"},
		{"Warmup", o.Warmup, o.Warmup >= 0 && o.Warmup <= 1, "in [0,1]"},
		{"MinLR", o.MinLR, o.MinLR >= 0 && o.MinLR <= 1, "in [0,1]"},
		{"WeightDecay", o.WeightDecay, o.WeightDecay >= 0 && !math.IsInf(o.WeightDecay, 0), "at least 0"},
		{"ClipNorm", o.ClipNorm, o.ClipNorm >= 0 && !math.IsInf(o.ClipNorm, 0), "at least 0"},
		{"MicroBatchTokens", float64(o.MicroBatchTokens), o.MicroBatchTokens >= 1, "at least 1"},
		{"DevFraction", o.DevFraction, o.DevFraction >= 0 && o.DevFraction < 1, "in [0,1)"},
		{"EvalSteps", float64(o.EvalSteps), o.EvalSteps >= 0, "at least 0"},
		{"Patience", float64(o.Patience), o.Patience >= 0, "at least 0"},
		{"ChooseBy", float64(o.ChooseBy), o.ChooseBy <= ByLoss, "ByNDCG or ByLoss"},
		{"MaxLossRise", o.MaxLossRise, o.MaxLossRise >= 0 && !math.IsInf(o.MaxLossRise, 0), "at least 0"},
		{"Floor.MaxDrop", o.Floor.MaxDrop, o.Floor.MaxDrop >= 0 && !math.IsInf(o.Floor.MaxDrop, 0), "at least 0"},
		{"CheckpointEvery", o.CheckpointEvery.Seconds(), o.CheckpointEvery >= 0, "at least 0"},
	} {
		if !f.ok {
			return fmt.Errorf("distill: Options.%s is %v, want %s", f.name, f.value, f.want)
		}
	}
	if err := o.validateColumns(); err != nil {
		return err
	}
	return o.validateSelection()
}

func (o Options) validateColumns() error {
	if v, ok := o.Loss.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("distill: Options.Loss: %w", err)
		}
	}
	switch {
	case o.WholeCorpus && o.Towers != QueryOnly:
		return errors.New("distill: Options.WholeCorpus needs Towers QueryOnly")
	case o.WholeCorpus && o.CountDuplicates:
		return errors.New("distill: Options.CountDuplicates has no meaning with WholeCorpus, where every passage is a column")
	case o.Vectors.Data != nil && o.Towers != QueryOnly:
		return errors.New("distill: Options.Vectors needs Towers QueryOnly: with Both the passage vectors change")
	}
	return nil
}

func (o Options) validateSelection() error {
	for _, alpha := range o.Interpolate {
		if !(alpha >= 0 && alpha <= 1) {
			return fmt.Errorf("distill: Options.Interpolate holds %v, want all in [0,1]", alpha)
		}
	}
	for _, share := range o.Floor.DrawBack {
		if !(share > 0 && share < 1) {
			return fmt.Errorf("distill: Options.Floor.DrawBack holds %v, want all in (0,1)", share)
		}
	}
	switch {
	case o.Evaluate != nil && o.ChooseBy == ByLoss:
		return errors.New("distill: Options.ChooseBy ByLoss is for held-out lists, Options.Evaluate has a score of its own")
	case !o.evaluates() && o.ChooseBy == ByLoss:
		return errors.New("distill: Options.ChooseBy needs held-out lists: set DevFraction or Dev")
	case !o.evaluates() && o.Floor.Evaluate != nil:
		return errors.New("distill: Options.Floor needs an evaluation: set DevFraction, Dev or Evaluate")
	case o.Evaluate != nil && len(o.Dev) > 0:
		return errors.New("distill: Options.Dev and Options.Evaluate exclude each other")
	case !o.evaluates() && len(o.Interpolate) > 0:
		return errors.New("distill: Options.Interpolate needs an evaluation: set DevFraction, Dev or Evaluate")
	}
	return nil
}

// evaluates says whether there is anything to choose the best student by.
func (o Options) evaluates() bool { return o.Evaluate != nil || len(o.Dev) > 0 || o.DevFraction > 0 }

func (o Options) loss() loss.Loss {
	if o.Loss == nil {
		return DefaultLoss()
	}
	return o.Loss
}
