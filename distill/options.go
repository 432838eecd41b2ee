package distill

import (
	"context"
	"errors"
	"fmt"
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
	// QueryOnly trains the query tower. The student must implement encoder.Splitter; passage vectors stay as they are.
	QueryOnly Towers = iota
	// Both trains queries and passages through the same weights. After it passages must be encoded anew.
	Both
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

// Options of Train. Start from DefaultOptions.
type Options struct {
	Towers Towers
	// Loss is the loss of one list; nil means DefaultLoss. A loss that implements loss.Batch too is given whole steps.
	Loss loss.Loss
	// CountDuplicates fills loss.Row.Count with the number of the step's lists that hold a passage, as the paper's loss
	// wants it. Off, a passage counts once.
	CountDuplicates bool
	// WholeCorpus gives the loss a column for every passage of the corpus instead of those of the step's lists. It
	// needs QueryOnly.
	WholeCorpus bool
	// Vectors are the student's passage vectors [corpus.Len() x d], where somebody has computed them already; for
	// QueryOnly. Without them those that are needed are encoded first.
	Vectors blas32.General

	Schedule    Schedule
	Memory      Memory
	Selection   Selection
	Retention   Retention // its zero value asks for none
	Checkpoints Checkpoints

	// Group are the workers that share out each step, nil: one worker. Each is given the same corpus, lists and options
	// and a student with the same weights, and encodes its share of a step's texts; vectors are exchanged, so that
	// every query sees the passages of all workers, and gradients are added up. The result is that of one worker to
	// rounding. Rank 0 alone evaluates (Selection.Evaluate and Retention.Evaluate are called there only), writes
	// checkpoints and calls Events, and a run may go on from its checkpoint with another number of workers. Train
	// returns the same result on all, and leaves the same student. The student must implement encoder.Parametric with
	// SetGrad. A loss.Batch must be safe for concurrent use where workers share it. Workers on one machine should share
	// its cores out among them.
	Group Group
	// Events watch the training: its stages (see the constants of package retort), steps, evaluations, checkpoints and
	// warnings.
	Events retort.Events
}

// Schedule says how long and how fast the student learns, by AdamW.
type Schedule struct {
	Epochs         int     // passes over the lists, at least 1
	QueriesPerStep int     // lists of one step, at least 1
	Seed           uint64  // of the order of the lists
	LR             float64 // peak of the learning rate, > 0
	Warmup         float64 // share of the steps, in [0,1], over which the rate rises from 0 to LR
	MinLR          float64 // the linear decay towards 0 stops at this share of LR, in [0,1]
	WeightDecay    float64 // >= 0
	ClipNorm       float64 // the gradient's largest L2 norm; 0: no limit
	// MaxLossRise ends training with errExplodingLoss where the mean loss of the last ten steps is more than this many
	// times the highest of the run's first ten (a start below 0.01 counts as 0.01); 0: never.
	MaxLossRise float64
}

// Memory bounds the memory of a step.
type Memory struct {
	// MicroBatchTokens bounds the tokens of one micro-batch, padding included: texts times the longest one's tokens. It
	// costs memory, and an ending context waits for one micro-batch.
	MicroBatchTokens int
	// GraphBudget bounds the bytes of the graphs that a step keeps from its first pass over the texts, so that these
	// need no second one: of as many micro-batches as fit, if the student is an encoder.GraphSizer. The result is the
	// same to rounding. 0 chooses a quarter of the memory that is free when the run begins, 4 GiB at most, and 1 GiB
	// where the system does not tell; of a Group, that of rank 0's machine, divided by the number of workers. A resumed
	// run keeps that choice. It is the host's memory: for a small GPU set it. Below 0 none is kept.
	GraphBudget int64
}

// Selection says what chooses the best of the students that training meets.
type Selection struct {
	// DevFraction is the share of the lists' sources (of the lists, where they have none) that is held out, in [0,1).
	// With 0 nothing is, and the last student is taken.
	//
	// What it measures is agreement with the teacher, which is not the same as being better. Where the teacher contains
	// the student (BM25 and the student itself, fused) the untouched student agrees best of all and would win, although
	// the trained one answers people's queries better (docs/results.md). There choose by Evaluate: with judged queries
	// where there are any, else with generated queries of a type that is not trained on (distill/pipeline holds some out). The best of several is a
	// little better by chance, so ask a paired test too.
	DevFraction float64
	// Dev are lists to evaluate on instead of a share of the lists.
	Dev []retort.List
	// Evaluate replaces nDCG@10 on held-out lists, and nothing is held out. More is better. It may use
	// generated queries, which need no judgements.
	Evaluate func(ctx context.Context, student encoder.Encoder) (float64, error)
	// ChooseBy says what makes a student better on held-out lists.
	ChooseBy ChooseBy
	// EvalSteps is the number of steps between evaluations; 0 means an epoch.
	EvalSteps int
	// Patience ends training after this many evaluations in a row without a better one; 0 means never.
	Patience int
	// Interpolate holds candidates for alpha in [0,1]: at the end the weights start + alpha (best - start) are
	// evaluated too, and the best alpha wins. The student must implement encoder.Parametric. 0 and 1 need not be named:
	// they are the untouched and the best student.
	Interpolate []float64
}

// Checkpoints says where a training is kept, so that it goes on after a kill.
type Checkpoints struct {
	// Dir is the folder of checkpoints; empty means none. It is made where it does not exist.
	Dir string
	// Every is the time between checkpoints. There is one after each evaluation too, and one when the context ends.
	Every time.Duration
}

// DefaultOptions returns the settings that the others are changes of: the query tower, in one pass over the lists.
func DefaultOptions() Options {
	return Options{
		Schedule: Schedule{
			Epochs:         1,
			QueriesPerStep: 64,
			LR:             1e-4,
			Warmup:         0.1,
			MinLR:          0.1,
			WeightDecay:    0.01,
			ClipNorm:       1,
			MaxLossRise:    20,
		},
		Memory:      Memory{MicroBatchTokens: 2048},
		Selection:   Selection{DevFraction: 0.1, Patience: 2},
		Checkpoints: Checkpoints{Every: time.Minute},
	}
}

// DefaultLoss returns KL divergence over the list, at temperature 0.3 for the teacher and 0.05 for the student, plus
// 0.1 times InfoNCE at temperature 0.05. Unlike loss.Paper it takes scores of any scale.
func DefaultLoss() loss.Loss {
	return loss.Sum{
		{Weight: 1, Loss: loss.ListwiseKL{TeacherTemperature: 0.3, StudentTemperature: 0.05}},
		{Weight: 0.1, Loss: loss.InfoNCE{Temperature: 0.05}},
	}
}

// Validate names the first field that is wrong.
func (o Options) Validate() error {
	if o.Towers > Both {
		return fmt.Errorf("distill: Options.Towers is %v, want Both or QueryOnly", o.Towers)
	}
	for _, validate := range []func() error{
		o.Schedule.validate, o.Memory.validate, o.Selection.validate, o.Retention.validate, o.Checkpoints.validate,
	} {
		if err := validate(); err != nil {
			return fmt.Errorf("distill: Options.%w", err)
		}
	}
	if o.Retention.Evaluate != nil && !o.Selection.evaluates() {
		return errors.New("distill: Options.Retention needs an evaluation: set Selection.DevFraction, Dev or Evaluate")
	}
	return o.validateColumns()
}

// number is a field with a range.
type number struct {
	field string
	value float64
	ok    bool
	want  string
}

func (n number) finite(least float64) number {
	n.ok = n.value >= least && !math.IsInf(n.value, 0)
	n.want = fmt.Sprintf("at least %v", least)
	return n
}

func firstWrong(numbers ...number) error {
	for _, n := range numbers {
		if !n.ok {
			return fmt.Errorf("%s is %v, want %s", n.field, n.value, n.want)
		}
	}
	return nil
}

func (s Schedule) validate() error {
	return firstWrong(
		number{field: "Schedule.Epochs", value: float64(s.Epochs)}.finite(1),
		number{field: "Schedule.QueriesPerStep", value: float64(s.QueriesPerStep)}.finite(1),
		number{"Schedule.LR", s.LR, s.LR > 0 && !math.IsInf(s.LR, 0), "above 0"},
		number{"Schedule.Warmup", s.Warmup, s.Warmup >= 0 && s.Warmup <= 1, "in [0,1]"},
		number{"Schedule.MinLR", s.MinLR, s.MinLR >= 0 && s.MinLR <= 1, "in [0,1]"},
		number{field: "Schedule.WeightDecay", value: s.WeightDecay}.finite(0),
		number{field: "Schedule.ClipNorm", value: s.ClipNorm}.finite(0),
		number{field: "Schedule.MaxLossRise", value: s.MaxLossRise}.finite(0),
	)
}

func (m Memory) validate() error {
	return firstWrong(number{field: "Memory.MicroBatchTokens", value: float64(m.MicroBatchTokens)}.finite(1))
}

func (c Checkpoints) validate() error {
	return firstWrong(number{field: "Checkpoints.Every", value: c.Every.Seconds()}.finite(0))
}

func (s Selection) validate() error {
	err := firstWrong(
		number{"Selection.DevFraction", s.DevFraction, s.DevFraction >= 0 && s.DevFraction < 1, "in [0,1)"},
		number{field: "Selection.EvalSteps", value: float64(s.EvalSteps)}.finite(0),
		number{field: "Selection.Patience", value: float64(s.Patience)}.finite(0),
		number{"Selection.ChooseBy", float64(s.ChooseBy), s.ChooseBy <= ByLoss, "ByNDCG or ByLoss"},
	)
	if err != nil {
		return err
	}
	for _, alpha := range s.Interpolate {
		if !(alpha >= 0 && alpha <= 1) {
			return fmt.Errorf("Selection.Interpolate holds %v, want all in [0,1]", alpha)
		}
	}
	switch {
	case s.Evaluate != nil && s.ChooseBy == ByLoss:
		return errors.New("Selection.ChooseBy ByLoss is for held-out lists, Evaluate has a score of its own")
	case !s.evaluates() && s.ChooseBy == ByLoss:
		return errors.New("Selection.ChooseBy needs held-out lists: set DevFraction or Dev")
	case s.Evaluate != nil && len(s.Dev) > 0:
		return errors.New("Selection.Dev and Selection.Evaluate exclude each other")
	case !s.evaluates() && len(s.Interpolate) > 0:
		return errors.New("Selection.Interpolate needs an evaluation: set DevFraction, Dev or Evaluate")
	}
	return nil
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

// evaluates says whether there is anything to choose the best student by.
func (s Selection) evaluates() bool { return s.Evaluate != nil || len(s.Dev) > 0 || s.DevFraction > 0 }

func (o Options) loss() loss.Loss {
	if o.Loss == nil {
		return DefaultLoss()
	}
	return o.Loss
}
