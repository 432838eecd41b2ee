package distill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/training"
)

// Train trains the student on the lists. Afterwards the student has the best weights of the run.
//
// A list must have scores, at least two passages of the corpus and a unique query id. When the context ends, Train
// abandons the current step or evaluation within one micro-batch, writes a checkpoint if Checkpoints.Dir is set, and
// returns the context's error. After an error the student has the weights of the last finished step. The error of a
// failed step names the step, its queries and the last good checkpoint. It wraps encoder.ErrNonFinite or the error of
// the student. If a row of the loss caused the error, the error names
// its query.
//
// The caller must not use the student until Train returns. On one machine the same input gives the same bits.
//
// With Options.Group all workers must call Train. An error on one worker ends training on all workers: the other
// workers return ErrWorkerLost, and rank 0 saves the finished steps. If lists, options or students differ between
// workers, all workers return an error before training begins.
func Train(ctx context.Context, student encoder.Trainable, corpus retort.Corpus, lists []retort.List,
	opts Options,
) (*Result, error) {
	ctx = encoder.Alone(ctx)
	result, err := train(ctx, student, corpus, lists, opts)
	if err != nil {
		w := opts.workers()
		err = errors.Join(err, w.leave())
	}
	return result, err
}

func train(ctx context.Context, student encoder.Trainable, corpus retort.Corpus, lists []retort.List,
	opts Options,
) (*Result, error) {
	t, err := newTrainer(ctx, student, corpus, lists, opts)
	if err != nil {
		return nil, err
	}
	result, err := t.run(ctx)
	return result, errors.Join(err, t.close())
}

// checkTraining returns an error if the student cannot be trained.
func checkTraining(student encoder.Trainable) error {
	if c, ok := student.(encoder.TrainingChecker); ok {
		if err := c.CheckTraining(); err != nil {
			return fmt.Errorf("distill: %w", err)
		}
	}
	return nil
}

// trainer is one run. It implements training.Trainer for its loop.
type trainer struct {
	student   encoder.Trainable
	opts      Options
	workers   *workers
	stepper   *stepper
	evaluator *evaluator // nil if there are no held-out lists
	planner   *planner
	current   *plan   // of the current step
	start     Weights // for interpolation
	state     trainState
	loop      *training.Loop
	events    retort.Events // no callback is nil
}

func newTrainer(ctx context.Context, student encoder.Trainable, corpus retort.Corpus, lists []retort.List,
	opts Options,
) (*trainer, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if err := checkTraining(student); err != nil {
		return nil, err
	}
	w := opts.workers()
	if !w.leads() {
		opts = opts.withoutOutput()
	}
	opts.Events = opts.Events.WithDefaults()
	opts.Events.Stage(retort.Stage{Name: retort.StageSetup, Total: 1})
	if n := len(opts.Widths); n > 0 && opts.Widths[0] < student.Dim() {
		opts.Events.Warning(retort.Warning{
			Message: "the whole vectors are not trained, only their leading values: their width is not among Options.Widths",
			Attrs:   []slog.Attr{slog.Int("width", student.Dim()), slog.Any("Options.Widths", opts.Widths)},
		})
	}
	train, dev, err := opts.split(lists)
	if err != nil {
		return nil, err
	}
	data, err := newDataset(corpus, train, dev, opts.WholeCorpus)
	if err != nil {
		return nil, err
	}
	if len(data.train) == 0 {
		return nil, errors.New("distill: no lists to train on")
	}
	t := &trainer{student: student, opts: opts, workers: &w, events: opts.Events}
	t.loop = t.newLoop(len(data.train))
	if t.stepper, err = newStepper(student, corpus, data, opts); err != nil {
		return nil, err
	}
	t.stepper.workers = t.workers
	texts, hash, err := t.stepper.passageTexts(ctx, corpus, opts.Vectors)
	if err != nil {
		return nil, err
	}
	t.state.Run = identity(student, train, dev, hash, opts)
	if err := w.sameRun(ctx, t.state.Run, student); err != nil {
		return nil, err
	}
	if err := t.loop.Open(differences); err != nil {
		return nil, errors.Join(err, t.close())
	}
	if err := t.stepper.prepare(ctx, texts, opts.Vectors, t.encoded); err != nil {
		return nil, errors.Join(err, t.close())
	}
	if err := t.readStart(); err != nil { // after prepare, which splits the towers
		return nil, errors.Join(err, t.close())
	}
	if len(data.dev) > 0 && !opts.Selection.ByLoss && w.leads() {
		if t.evaluator, err = newEvaluator(t.stepper); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	if !t.loop.Resumed {
		t.state.GraphBudget = opts.graphBudget()
	}
	if err := t.shareStart(ctx); err != nil {
		return nil, errors.Join(err, t.close())
	}
	t.stepper.graphBudget = t.state.GraphBudget
	t.planner = &planner{steps: t.loop.Schedule.Steps(), make: func(ctx context.Context, step int) (*plan, error) {
		return t.stepper.plan(ctx, t.batch(step))
	}}
	t.events.Stage(retort.Stage{Name: retort.StageSetup, Done: 1, Total: 1})
	return t, nil
}

// newLoop returns the loop over a number of lists.
func (t *trainer) newLoop(lists int) *training.Loop {
	o := t.opts
	s := o.Schedule
	l := &training.Loop{
		Package: "distill", DirSetting: "Options.Checkpoints.Dir", Trainer: t,
		Schedule: &training.Schedule{
			Items: lists, PerStep: s.QueriesPerStep, Epochs: s.Epochs, Seed: s.Seed,
			LR: s.LR, Warmup: s.Warmup, MinLR: s.MinLR,
		},
		Evaluates: o.Selection.evaluates(), EvalSteps: o.Selection.EvalSteps, Patience: o.Selection.Patience,
		MaxLossRise: s.MaxLossRise,
		Dir:         o.Checkpoints.Dir, Every: o.Checkpoints.Every, State: &t.state.State, Saved: &t.state,
		StepError: t.stepError, OnEvaluation: t.evaluated, OnDamage: t.warnOfDamage,
		OnCheckpoint: func(c training.Checkpoint) { t.events.Checkpoint(retort.Checkpoint(c)) },
	}
	if t.workers.group != nil {
		l.Group = lead{t}
	}
	return l
}

func (o Options) split(lists []retort.List) (train, dev []retort.List, err error) {
	if o.Selection.Evaluate != nil || len(o.Selection.Dev) > 0 {
		return lists, o.Selection.Dev, nil
	}
	return split(lists, o.Selection.DevFraction)
}

// newStepper returns a stepper without inputs and fixed vectors, which prepare sets.
func newStepper(student encoder.Trainable, corpus retort.Corpus, data *dataset, o Options) (*stepper, error) {
	if o.Towers == QueryOnly {
		if _, ok := student.(encoder.Splitter); !ok {
			return nil, fmt.Errorf("distill: Towers QueryOnly needs a student that implements encoder.Splitter, %T does not",
				student)
		}
	}
	if o.Vectors.Data != nil {
		if err := matrix.Check(o.Vectors, corpus.Len(), student.Dim()); err != nil {
			return nil, fmt.Errorf("distill: Options.Vectors: %w", err)
		}
	}
	if err := o.checkWidths(student.Dim()); err != nil {
		return nil, err
	}
	w := o.workers()
	if err := w.check(student); err != nil {
		return nil, err
	}
	return &stepper{
		student: student, data: data, loss: o.loss(), widths: o.Widths, queryOnly: o.Towers == QueryOnly,
		microBatch: o.Memory.MicroBatchTokens, block: blockElements, count: o.CountDuplicates, wholeCorpus: o.WholeCorpus,
		workers: &w,
	}, nil
}

// passageTexts reads the passages that must be encoded and returns them with a hash of their ids and texts.
func (s *stepper) passageTexts(ctx context.Context, corpus retort.Corpus, vectors blas32.General) ([]string, string,
	error,
) {
	h := sha256.New()
	if vectors.Data != nil {
		for i := range vectors.Rows {
			hashFloats(h, matrix.Row(vectors, i))
		}
		return nil, hex.EncodeToString(h.Sum(nil)), nil
	}
	texts := make([]string, len(s.data.passages))
	for i, index := range s.data.passages {
		if err := ctx.Err(); err != nil {
			return nil, "", fmt.Errorf("distill: read passages: %w", err)
		}
		p, err := corpus.At(index)
		if err != nil {
			return nil, "", fmt.Errorf("distill: read passages: %w", err)
		}
		texts[i] = p.Content()
		fmt.Fprintf(h, "%q %q\n", p.ID, texts[i])
	}
	return texts, hex.EncodeToString(h.Sum(nil)), nil
}

// prepare tokenises the texts or, where passage vectors are fixed, encodes the passages.
func (s *stepper) prepare(ctx context.Context, texts []string, given blas32.General,
	report func(done, total int),
) error {
	var err error
	if s.queryOnly {
		if err := s.student.(encoder.Splitter).SplitTowers(); err != nil {
			return fmt.Errorf("distill: split the towers: %w", err)
		}
	}
	if s.queries, err = s.student.Prepare(ctx, encoder.Query, s.data.queries); err != nil {
		return fmt.Errorf("distill: tokenise queries: %w", err)
	}
	switch {
	case !s.queryOnly:
		if s.passages, err = s.student.Prepare(ctx, encoder.Passage, texts); err != nil {
			return fmt.Errorf("distill: tokenise passages: %w", err)
		}
	case given.Data != nil:
		s.fixed = vectors{matrix: given, index: s.data.passages}
	default:
		if s.fixed.matrix, err = s.workers.encodeAll(ctx, s.student, encoder.Passage, texts, report); err != nil {
			return fmt.Errorf("distill: encode passages: %w", err)
		}
	}
	return nil
}

// encodeChunk is the number of passages encoded between two reports of progress.
const encodeChunk = 1024

func encodeAll(ctx context.Context, e encoder.Encoder, role encoder.Role, texts []string,
	report func(done, total int),
) (blas32.General, error) {
	ctx = encoder.Alone(ctx)
	all := matrix.New(len(texts), e.Dim())
	for start := 0; start < len(texts); start += encodeChunk {
		end := min(start+encodeChunk, len(texts))
		m, err := e.Encode(ctx, role, texts[start:end])
		if err != nil {
			return blas32.General{}, err
		}
		for i := range m.Rows {
			copy(matrix.Row(all, start+i), matrix.Row(m, i))
		}
		report(end, len(texts))
	}
	return all, nil
}

// batch must be called by the planner only, which may run in another goroutine.
func (t *trainer) batch(step int) []*example {
	numbers := t.loop.Schedule.Batch(step)
	batch := make([]*example, len(numbers))
	for i, n := range numbers {
		batch[i] = &t.stepper.data.train[n]
	}
	return batch
}

// close stops the planner and removes the temporary folder of a run without Checkpoints.Dir.
func (t *trainer) close() error {
	if t.planner != nil {
		t.planner.stop()
	}
	return t.loop.Close()
}

func (t *trainer) run(ctx context.Context) (*Result, error) {
	t.reportSteps()
	if err := t.loop.Run(ctx); err != nil {
		return nil, err
	}
	result, err := t.finish(ctx)
	t.reportSteps()
	return result, err
}

// reportSteps reports the progress of training.
func (t *trainer) reportSteps() {
	t.events.Stage(retort.Stage{Name: retort.StageTrain, Done: t.state.Step, Total: t.loop.Schedule.Steps()})
}

func (t *trainer) encoded(done, total int) {
	t.events.Stage(retort.Stage{Name: retort.StageEncode, Done: done, Total: total})
}

// Step is the loop's.
func (t *trainer) Step(ctx context.Context, step int) (loss float64, err error) {
	schedule := t.loop.Schedule
	update := encoder.Update{
		LR: schedule.Rate(step), WeightDecay: t.opts.Schedule.WeightDecay,
		Beta1: training.Beta1, Beta2: training.Beta2, Eps: training.Eps, ClipNorm: t.opts.Schedule.ClipNorm,
	}
	start := time.Now()
	if t.current, err = t.planner.next(ctx, step); err != nil {
		return 0, err
	}
	waited := time.Since(start)
	report, err := t.stepper.step(ctx, t.current, update)
	if err != nil {
		return 0, err
	}
	report.Step, report.Steps, report.Epoch = step+1, schedule.Steps(), schedule.Passes(step+1)
	report.Prepare, report.Took = waited, time.Since(start)
	t.events.Step(report)
	return report.Loss, nil
}

// Save is the loop's.
func (t *trainer) Save(w io.Writer) error { return t.student.SaveState(w) }

// SaveBest writes the best student's state, so that Load can restore it.
func (t *trainer) SaveBest(w io.Writer) error { return t.student.SaveState(w) }

// Load is the loop's.
func (t *trainer) Load(f *checkpoint.File) error { return loadState(f, t.student) }

func (t *trainer) warnOfDamage(damage error, step int) {
	t.warn("the last checkpoint is damaged; training resumes from the previous one",
		slog.Any("error", damage), slog.Int("step", step))
}

func (t *trainer) warn(message string, attrs ...slog.Attr) {
	t.events.Warning(retort.Warning{Message: message, Attrs: attrs})
}
