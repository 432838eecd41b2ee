package distill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/matrix"
)

// Train trains the student on the lists and leaves the best student it met in it.
//
// A list must have scores, at least two passages of the corpus and a query id of its own. When the context ends, Train
// gives up the step or evaluation at hand within a micro-batch, writes a checkpoint where Options.Dir asks for them, and
// returns the context's error; the student is as after the last step that was finished, and so is the checkpoint. After
// every other error the student is so too, and the checkpoint stays the one before. A step that fails is a *StepError with
// its queries and the last good checkpoint: around encoder.ErrNonFinite, ErrNonFiniteLoss, ErrExplodingLoss or what the
// student returned; where a row of the loss is at fault, the error names its query.
//
// The student belongs to Train until it returns. The same input gives the same bits on one machine.
//
// With Options.Group it must be called on all workers. An error on one ends it on all of them: with ErrWorkerLost on the
// others, where rank 0 saves the steps that were finished. Other lists, options or students on one of them are an error on all
// before training begins.
func Train(ctx context.Context, student encoder.Trainable, corpus retort.Corpus, lists []retort.List, opts Options) (*Result, error) {
	ctx = encoder.Alone(ctx)
	result, err := train(ctx, student, corpus, lists, opts)
	if err != nil {
		w := opts.workers()
		err = errors.Join(err, w.leave())
	}
	return result, err
}

func train(ctx context.Context, student encoder.Trainable, corpus retort.Corpus, lists []retort.List, opts Options) (*Result, error) {
	t, err := newTrainer(ctx, student, corpus, lists, opts)
	if err != nil {
		return nil, err
	}
	result, err := t.run(ctx)
	return result, errors.Join(err, t.close())
}

// checkTraining says why a student cannot learn.
func checkTraining(student encoder.Trainable) error {
	if c, ok := student.(encoder.TrainingChecker); ok {
		if err := c.CheckTraining(); err != nil {
			return fmt.Errorf("distill: %w", err)
		}
	}
	return nil
}

// trainer is one run.
type trainer struct {
	student   encoder.Trainable
	opts      Options
	workers   *workers
	stepper   *stepper
	evaluator *evaluator // nil without held-out lists
	schedule  *schedule
	planner   *planner
	start     Weights // for interpolation
	state     trainState
	resumed   bool
	folder    *checkpoint.Folder // of the best student; of the checkpoints too where it is Options.Dir
	saved     time.Time          // when the last checkpoint was written, or training began
	savedStep int                // of that checkpoint; -1: there is none
	events    retort.Events      // without a nil callback
}

func newTrainer(ctx context.Context, student encoder.Trainable, corpus retort.Corpus, lists []retort.List, opts Options) (*trainer, error) {
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
	t := &trainer{student: student, opts: opts, workers: &w, schedule: newSchedule(len(data.train), opts.Schedule), savedStep: -1, events: opts.Events}
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
	if err := t.findCheckpoint(); err != nil {
		return nil, err
	}
	if err := t.stepper.prepare(ctx, texts, opts.Vectors, t.encoded); err != nil {
		return nil, errors.Join(err, t.close())
	}
	if err := t.readStart(); err != nil { // of the towers that learn, which prepare has split
		return nil, errors.Join(err, t.close())
	}
	if len(data.dev) > 0 && opts.Selection.ChooseBy == ByNDCG && w.leads() {
		if t.evaluator, err = newEvaluator(t.stepper); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	if !t.resumed {
		t.state.GraphBudget = opts.graphBudget()
	}
	if err := t.shareStart(ctx); err != nil {
		return nil, errors.Join(err, t.close())
	}
	t.stepper.graphBudget = t.state.GraphBudget
	t.planner = &planner{steps: t.schedule.steps(), make: func(ctx context.Context, step int) (*plan, error) {
		return t.stepper.plan(ctx, t.batch(step))
	}}
	t.events.Stage(retort.Stage{Name: retort.StageSetup, Done: 1, Total: 1})
	return t, nil
}

func (o Options) split(lists []retort.List) (train, dev []retort.List, err error) {
	if o.Selection.Evaluate != nil || len(o.Selection.Dev) > 0 {
		return lists, o.Selection.Dev, nil
	}
	return split(lists, o.Selection.DevFraction)
}

// newStepper leaves out what prepare fills in.
func newStepper(student encoder.Trainable, corpus retort.Corpus, data *dataset, o Options) (*stepper, error) {
	if o.Towers == QueryOnly {
		if _, ok := student.(encoder.Splitter); !ok {
			return nil, fmt.Errorf("distill: Towers QueryOnly needs a student that implements encoder.Splitter, %T does not", student)
		}
	}
	if o.Vectors.Data != nil {
		if err := matrix.Check(o.Vectors, corpus.Len(), student.Dim()); err != nil {
			return nil, fmt.Errorf("distill: Options.Vectors: %w", err)
		}
	}
	w := o.workers()
	if err := w.check(student); err != nil {
		return nil, err
	}
	return &stepper{
		student: student, data: data, loss: o.loss(), queryOnly: o.Towers == QueryOnly,
		microBatch: o.Memory.MicroBatchTokens, block: blockElements, count: o.CountDuplicates, wholeCorpus: o.WholeCorpus,
		workers: &w,
	}, nil
}

// passageTexts reads the passages that must be encoded, and returns a hash of what is known of them.
func (s *stepper) passageTexts(ctx context.Context, corpus retort.Corpus, vectors blas32.General) ([]string, string, error) {
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
func (s *stepper) prepare(ctx context.Context, texts []string, given blas32.General, report func(done, total int)) error {
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

// encodeChunk is how many passages are encoded between two reports of progress.
const encodeChunk = 1024

func encodeAll(ctx context.Context, e encoder.Encoder, role encoder.Role, texts []string, report func(done, total int)) (blas32.General, error) {
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

// batch is the planner's: nobody else may call it while that works ahead.
func (t *trainer) batch(step int) []*example {
	numbers := t.schedule.batch(step)
	batch := make([]*example, len(numbers))
	for i, n := range numbers {
		batch[i] = &t.stepper.data.train[n]
	}
	return batch
}

// close ends the work ahead, and removes what a run without a folder of its own has written.
func (t *trainer) close() error {
	if t.planner != nil {
		t.planner.stop()
	}
	if t.opts.Checkpoints.Dir != "" || t.folder == nil {
		return nil
	}
	return os.RemoveAll(t.folder.Dir())
}

func (t *trainer) run(ctx context.Context) (*Result, error) {
	if t.resumed {
		if err := t.loadCheckpoint(ctx); err != nil {
			return nil, err
		}
		t.savedStep = t.state.Step
	} else {
		t.state.PartDone = true // the untouched student is evaluated first
	}
	t.saved = time.Now()
	t.reportSteps()
	for !t.state.Done {
		if err := t.advance(ctx); err != nil {
			return nil, errors.Join(err, t.checkpointAtEnd(ctx, err))
		}
	}
	result, err := t.finish(ctx)
	t.reportSteps()
	return result, err
}

// reportSteps says how far training is.
func (t *trainer) reportSteps() {
	t.events.Stage(retort.Stage{Name: retort.StageTrain, Done: t.state.Step, Total: t.schedule.steps()})
}

func (t *trainer) encoded(done, total int) {
	t.events.Stage(retort.Stage{Name: retort.StageEncode, Done: done, Total: total})
}

// advance finishes the part, where its steps are made, or else makes a step.
func (t *trainer) advance(ctx context.Context) error {
	if t.state.PartDone {
		return t.finishPart(ctx)
	}
	return t.step(ctx)
}

func (t *trainer) step(ctx context.Context) error {
	step, total := t.state.Step, t.schedule.steps()
	update := encoder.Update{
		LR: t.schedule.rate(step), WeightDecay: t.opts.Schedule.WeightDecay,
		Beta1: beta1, Beta2: beta2, Eps: eps, ClipNorm: t.opts.Schedule.ClipNorm,
	}
	start := time.Now()
	plan, err := t.planner.next(ctx, step)
	if err != nil {
		return fmt.Errorf("distill: step %d of %d: %w", step+1, total, err)
	}
	waited := time.Since(start)
	report, err := t.stepper.step(ctx, plan, update)
	report.Prepare = waited
	if err != nil {
		return t.stepFailed(ctx, plan.batch, err)
	}
	t.state.Step++
	t.state.LossSum += report.Loss
	t.state.LossSteps++
	if err := t.watchLoss(report.Loss); err != nil {
		return t.stepFailed(ctx, plan.batch, err)
	}
	report.Step, report.Steps, report.Epoch, report.Took = t.state.Step, total, t.epoch(), time.Since(start)
	t.events.Step(report)
	t.state.PartDone = t.state.Step%t.evalSteps() == 0 || t.state.Step == total
	if time.Since(t.saved) >= t.opts.Checkpoints.Every {
		return t.checkpoint()
	}
	return nil
}

// epoch is how far training is, in passes over the lists.
func (t *trainer) epoch() float64 { return float64(t.state.Step) / float64(t.schedule.stepsPerEpoch()) }

func (t *trainer) evalSteps() int {
	if t.opts.Selection.EvalSteps > 0 {
		return t.opts.Selection.EvalSteps
	}
	return t.schedule.stepsPerEpoch()
}

// finishPart comes after the steps between two evaluations: it evaluates the student, keeps it if it is the best so far,
// decides whether to stop, and writes a checkpoint.
func (t *trainer) finishPart(ctx context.Context) error {
	if t.workers.leads() {
		if t.opts.Selection.evaluates() {
			if err := t.evaluate(ctx); err != nil {
				return err
			}
		}
		t.state.PartDone = false
		t.state.Done = t.state.Done || t.state.Step == t.schedule.steps()
	}
	if err := t.checkpoint(); err != nil {
		return err
	}
	return t.shareDecision(ctx)
}
