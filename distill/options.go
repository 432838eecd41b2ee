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

// Towers selects the towers of the student that learn.
type Towers uint8

const (
	// QueryOnly trains the query tower only. The student must implement encoder.Splitter. Passage vectors do not
	// change.
	QueryOnly Towers = iota
	// Both trains the shared weights of queries and passages. Passages must be encoded again afterwards.
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

// Options are the settings of Train. Start from DefaultOptions.
type Options struct {
	Towers Towers
	// Loss is the loss of one list; nil means DefaultLoss. If it implements loss.Batch, Train calls Step with whole
	// steps.
	Loss loss.Loss
	// CountDuplicates sets loss.Row.Count to the number of the step's lists that contain a passage, as loss.Paper
	// requires. If false, a passage counts once.
	CountDuplicates bool
	// Widths are nested widths to train at (Matryoshka representation learning: Kusupati et al. 2022, arXiv 2205.13147):
	// the loss of a step is the sum of its losses at these widths. The vectors of width w are the leading w values of
	// the student's vectors, L2-normalised. Widths are at least 1 and at most the student's Dim, distinct, the largest
	// first. Include Dim to train the whole vectors too. Empty trains the whole vectors only. The score on held-out
	// lists is the mean over the widths, and their loss the sum.
	Widths []int
	// WholeCorpus gives the loss a column for every passage of the corpus instead of the passages of the step's lists.
	// It requires QueryOnly.
	WholeCorpus bool
	// Vectors are precomputed passage vectors of the student [corpus.Len() x d], for QueryOnly. Without them Train
	// encodes the passages that it needs.
	Vectors blas32.General

	Schedule    Schedule
	Memory      Memory
	Selection   Selection
	Retention   Retention // the zero value disables it
	Checkpoints Checkpoints

	// Group connects the workers that divide each step; nil: one worker. Each worker must call Train with the same
	// corpus, lists and options and with a student of the same weights. Each encodes its share of a step's texts; the
	// workers exchange vectors, so that every query sees the passages of all workers, and sum gradients. The result
	// equals the result of one worker up to rounding. Only rank 0 evaluates (calls Selection.Evaluate and
	// Retention.Evaluate), writes checkpoints and calls Events. A run may resume with a different number of workers.
	// Train returns the same result and leaves the same student on all workers. The student must implement
	// encoder.Parametric with SetGrad. A loss.Batch that workers share must be safe for concurrent use. Workers on one
	// machine should divide its cores.
	Group Group
	// Events receive the stages (see the constants of package retort), steps, evaluations, checkpoints and warnings.
	Events retort.Events
}

// Schedule holds the length of training and the settings of AdamW.
type Schedule struct {
	Epochs         int     // passes over the lists, at least 1
	QueriesPerStep int     // lists of one step, at least 1
	Seed           uint64  // seed of the order of the lists
	LR             float64 // peak of the learning rate, > 0
	Warmup         float64 // share of the steps, in [0,1], over which the rate rises from 0 to LR
	MinLR          float64 // the linear decay towards 0 stops at this share of LR, in [0,1]
	WeightDecay    float64 // >= 0
	ClipNorm       float64 // largest L2 norm of the gradient; 0: no limit
	// MaxLossRise ends training with an error if the mean loss of the last ten steps exceeds the highest loss
	// of the run's first ten steps (at least 0.01) by more than this factor; 0: never.
	MaxLossRise float64
}

// Memory bounds the memory of a step.
type Memory struct {
	// MicroBatchTokens is the largest number of tokens in one micro-batch, padding included: the number of texts times
	// the tokens of the longest text. Larger values need more memory, pad more, and delay the response to the end of
	// the context, which Train checks between micro-batches. The default suits processors; a GPU is busy only with
	// several times as many.
	MicroBatchTokens int
	// GraphBudget is the number of bytes for the graphs that a step keeps from its first forward pass, so that these
	// micro-batches need no second pass. The student must be an encoder.GraphSizer. The budget affects the result only
	// by rounding. 0 uses a quarter of the free memory of the host when the run begins, at most 4 GiB, or 1 GiB if free
	// memory is unknown; in a Group, the value of rank 0 divided by the number of workers. A resumed run keeps this
	// value. Set it for a GPU with little memory. A negative value keeps no graph.
	GraphBudget int64
}

// Selection defines how the best student of the run is chosen.
type Selection struct {
	// DevFraction is the share of the lists' sources (of the lists, if they have no source) that is held out, in [0,1).
	// With 0 nothing is held out, and the last student is the result.
	//
	// Held-out lists measure agreement with the teacher, not quality. If the teacher contains the student (a fusion of
	// BM25 and the student itself), the initial student can agree best and win, although the trained student is better
	// for real queries. In this case set Evaluate: use judged queries if you have any, otherwise queries of a type that
	// is not trained on. The maximum of several scores is biased upwards, so confirm the result with a paired test.
	DevFraction float64
	// Dev are lists to evaluate on instead of a share of the lists.
	Dev []retort.List
	// Evaluate replaces nDCG@10 on held-out lists; nothing is held out. Higher is better.
	Evaluate func(ctx context.Context, student encoder.Encoder) (float64, error)
	// ByLoss chooses by the lowest loss on held-out lists, in steps of QueriesPerStep of them, instead of the highest
	// nDCG@10 with the teacher's scores as gains: the loss also sees how far apart the scores are.
	ByLoss bool
	// EvalSteps is the number of steps between evaluations; 0 means an epoch.
	EvalSteps int
	// Patience ends training after this many evaluations in a row without a better score; 0 means never.
	Patience int
	// Interpolate holds candidates for alpha in [0,1]. After training, the weights start + alpha (best - start) are
	// evaluated too, and the best alpha wins. The student must implement encoder.Parametric. 0 and 1, the initial and
	// the best student, are always candidates.
	Interpolate []float64
}

// Checkpoints configure the checkpoints from which an interrupted run resumes.
type Checkpoints struct {
	// Dir is the folder of checkpoints; empty means none. Train creates it if it does not exist.
	Dir string
	// Every is the time between checkpoints. Train also writes one after each evaluation and when the context ends.
	Every time.Duration
}

// DefaultOptions returns the default settings: the query tower is trained in one pass over the lists.
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
		Memory:      Memory{MicroBatchTokens: 1024},
		Selection:   Selection{DevFraction: 0.1, Patience: 2},
		Checkpoints: Checkpoints{Every: time.Minute},
	}
}

// DefaultLoss returns the KL divergence over the list, at temperature 0.3 for the teacher and 0.05 for the student,
// plus 0.1 times InfoNCE at temperature 0.05. Unlike loss.Paper it allows scores on any scale.
func DefaultLoss() loss.Loss {
	return loss.Sum{
		{Weight: 1, Loss: loss.ListwiseKL{TeacherTemperature: 0.3, StudentTemperature: 0.05}},
		{Weight: 0.1, Loss: loss.InfoNCE{Temperature: 0.05}},
	}
}

// Validate returns an error that names the first invalid field.
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
	if err := o.validateWidths(); err != nil {
		return err
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
	case s.Evaluate != nil && s.ByLoss:
		return errors.New("Selection.ByLoss needs held-out lists, but Evaluate replaces them; set only one of them")
	case !s.evaluates() && s.ByLoss:
		return errors.New("Selection.ByLoss needs held-out lists: set DevFraction or Dev")
	case s.Evaluate != nil && len(s.Dev) > 0:
		return errors.New("Selection.Dev and Selection.Evaluate are mutually exclusive")
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
		return errors.New("distill: Options.CountDuplicates and WholeCorpus are mutually exclusive")
	case o.Vectors.Data != nil && o.Towers != QueryOnly:
		return errors.New("distill: Options.Vectors needs Towers QueryOnly: with Both the passage vectors change")
	}
	return nil
}

// evaluates reports whether the selection defines an evaluation.
func (s Selection) evaluates() bool { return s.Evaluate != nil || len(s.Dev) > 0 || s.DevFraction > 0 }

func (o Options) loss() loss.Loss {
	if o.Loss == nil {
		return DefaultLoss()
	}
	return o.Loss
}
