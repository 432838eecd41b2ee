package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/metrics"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/internal/training"
)

// The names in a run folder besides the stages' records, as runfolder.Pipeline has them.
const (
	folderCheckpoints = "checkpoints" // while the student is trained
	folderState       = "train.state" // the trained student's weights and moments
	folderModel       = "model"       // the same, to be deployed
	folderMetrics     = "metrics"     // every step and evaluation, as CSV and for TensorBoard
)

// trained is a record of runfolder.StageTrain: a step, an evaluation or, last, the result.
type trained struct {
	Step       *trainedStep       `json:"step,omitempty"`
	Evaluation *retort.Evaluation `json:"evaluation,omitempty"`
	Result     *distill.Result    `json:"result,omitempty"`
	Test       *eval.Comparison   `json:"test,omitempty"` // beside Result
}

// trainedStep is what is the same whenever the step is made.
type trainedStep struct {
	Step     int     `json:"step"` // from 1
	Loss     float64 `json:"loss"`
	LR       float64 `json:"lr"`
	GradNorm float64 `json:"grad_norm"`
	Queries  int     `json:"queries"`
	Passages int     `json:"passages"`
	Tokens   int     `json:"tokens"`
}

// train leaves the student to keep in Student and says in out how it came about.
func (j *job) train(ctx context.Context, out *Outcome) error {
	if err := j.rememberStart(); err != nil {
		return err
	}
	if j.folder == nil {
		if err := j.trainTested(ctx, j.trainingOptions(), out); err != nil {
			return err
		}
		j.describe(out)
		return nil
	}
	s, err := j.trainSettings(ctx, out)
	if err != nil {
		return err
	}
	var reads []string
	if j.Lists == nil {
		reads = []string{runfolder.StageFilter}
	}
	stage, err := j.begin(runfolder.StageTrain, s, reads)
	if err != nil {
		return err
	}
	if err := j.trainStage(ctx, stage, out); err != nil {
		return errors.Join(err, stage.Stop())
	}
	return nil
}

// trainSettings is all that decides the trained student.
func (j *job) trainSettings(ctx context.Context, out *Outcome) (settings, error) {
	o := j.trainingOptions()
	s := o.Settings(j.Student, out.Lists)
	s["SignificanceTest"] = fmt.Sprint(j.SignificanceTest != nil)
	if o.Vectors.Data != nil {
		h := sha256.New()
		for i := range o.Vectors.Rows {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			hashFloats(h, matrix.Row(o.Vectors, i))
		}
		s["vectors"] = hex.EncodeToString(h.Sum(nil))
	}
	return s, nil
}

func hashFloats(h hash.Hash, values []float32) {
	b := make([]byte, 0, 4*len(values)) // one write a row: a hash is slow on four bytes at a time
	for _, x := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	h.Write(b)
}

func (j *job) trainStage(ctx context.Context, stage *runfolder.Stage, out *Outcome) error {
	records, err := readAll[trained](ctx, stage)
	if err != nil {
		return err
	}
	if n := len(records); n == 0 || records[n-1].Result == nil {
		if err := j.trainOn(ctx, stage, records, out); err != nil {
			return err
		}
	} else {
		out.Training, out.Test = records[n-1].Result, records[n-1].Test
		j.describe(out)
		if err := j.loadTrained(ctx); err != nil {
			return err
		}
	}
	if err := stage.Finish(); err != nil {
		return err
	}
	return j.folder.Remove(folderCheckpoints)
}

// trainedFiles are what is left of training besides its records.
var trainedFiles = []string{folderState, folderModel, folderMetrics}

// trainOn trains from the last checkpoint on, if there is one.
func (j *job) trainOn(ctx context.Context, stage *runfolder.Stage, records []trained, out *Outcome) error {
	o := j.trainingOptions()
	o.Checkpoints.Dir = j.folder.Path(folderCheckpoints)
	w := &trainWriter{stage: stage, evaluated: -1}
	for _, r := range records {
		w.seen(r)
	}
	if err := w.checkCheckpoint(j.folder); err != nil {
		return err
	}
	if err := j.trainWatched(ctx, w, o, out); err != nil {
		return err
	}
	j.describe(out)
	if err := j.folder.Replace(ctx, j.saveTrained, trainedFiles...); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return stage.Append(trained{Result: out.Training, Test: out.Test})
}

// trainWatched trains and writes what training is like to the stage and to the folder of metrics. What cannot be written
// ends it.
func (j *job) trainWatched(ctx context.Context, w *trainWriter, o distill.Options, out *Outcome) error {
	trainCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	files, err := metrics.Open(j.folder.Path(folderMetrics))
	if err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	w.fail, files.Failed = cancel, cancel
	o.Events = retort.Tee(retort.Events{Step: w.addStep, Evaluation: w.addEvaluation}, files.Events(), o.Events)
	err = j.trainTested(trainCtx, o, out)
	if cause := context.Cause(trainCtx); cause != nil && ctx.Err() == nil {
		err = cause
	}
	if closed := files.Close(); err == nil {
		err = closed
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return err
}

// saveTrained writes the student as it is now.
func (j *job) saveTrained() error {
	if err := checkpoint.Write(j.folder.Path(folderState), nil, j.Student.SaveState); err != nil {
		return err
	}
	return j.saveModel()
}

// saveModel writes the model anew: a call that was killed may have left one.
func (j *job) saveModel() error {
	if err := j.folder.Remove(folderModel); err != nil {
		return err
	}
	return j.Student.Save(j.folder.Path(folderModel))
}

// loadTrained restores the student of an earlier call, and makes a model that is gone or damaged again.
func (j *job) loadTrained(ctx context.Context) error {
	if err := j.split(); err != nil {
		return err
	}
	if err := checkpoint.Load(j.folder.Path(folderState), j.Student.LoadState); err != nil {
		return fmt.Errorf(`%w; to train anew, remove %s too, or run "retort repair %s"`,
			err, j.folder.Path(runfolder.StageTrain+".jsonl"), j.folder.Dir())
	}
	damaged, err := j.folder.Check(ctx, trainedFiles...)
	if err != nil {
		return err
	}
	again := false
	for _, d := range damaged {
		model := strings.HasPrefix(d.File, folderModel+"/")
		again = again || model
		done := "retort repair sets it aside: nothing makes it again"
		if model {
			done = "the model is saved again"
		}
		j.folder.Warn("a file of the run is damaged", "file", j.folder.Path(d.File), "why", d.Reason, "what to do", done)
	}
	if _, err := os.Stat(j.folder.Path(folderModel)); errors.Is(err, fs.ErrNotExist) {
		again = true
	}
	if again {
		return j.folder.Replace(ctx, j.saveModel, folderModel)
	}
	if !j.folder.Recorded(folderModel) { // of an older version of Retort
		return j.folder.Record(ctx, trainedFiles...)
	}
	return nil
}

// split gives the student the towers that it is trained with.
func (j *job) split() error {
	if j.Training.Towers != distill.QueryOnly {
		return nil
	}
	s, ok := j.Student.(encoder.Splitter)
	if !ok {
		return fmt.Errorf("pipeline: distill.Towers distill.QueryOnly needs a student that implements encoder.Splitter, %T does not", j.Student)
	}
	if err := s.SplitTowers(); err != nil {
		return fmt.Errorf("pipeline: split the towers: %w", err)
	}
	return nil
}

// rememberStart splits the towers, as Train would, and copies the weights that learn.
func (j *job) rememberStart() error {
	if j.SignificanceTest == nil && j.Started == nil {
		return nil
	}
	if err := j.split(); err != nil {
		return err
	}
	var err error
	if j.start, err = distill.ReadWeights(j.Student); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	if j.Started != nil {
		j.Started(j.start)
	}
	return nil
}

// trainTested trains, and brings the student back as it was where the significance test does not hold.
func (j *job) trainTested(ctx context.Context, o distill.Options, out *Outcome) error {
	var before []float64
	var err error
	if j.SignificanceTest != nil {
		if before, err = j.SignificanceTest(ctx, j.Student); err != nil {
			return fmt.Errorf("pipeline: significance test: %w", err)
		}
	}
	out.Training, err = distill.Train(ctx, j.Student, j.Corpus, out.Lists, o)
	if err != nil || j.SignificanceTest == nil {
		return err
	}
	after, err := j.SignificanceTest(ctx, j.Student)
	if err != nil {
		return fmt.Errorf("pipeline: significance test: %w", err)
	}
	gain, err := eval.Paired(ctx, before, after, j.Mining.seed)
	if err != nil {
		return fmt.Errorf("pipeline: significance test: %w", err)
	}
	out.Test = &gain
	if significant(gain) {
		return nil
	}
	out.Training.Best, out.Training.Alpha = retort.Evaluation{}, 0
	if len(out.Training.History) > 0 {
		out.Training.Best = out.Training.History[0]
	}
	return distill.SetInterpolated(j.Student, j.start, j.start, 0)
}

func significant(gain eval.Comparison) bool { return gain.Delta > 0 && gain.P < significanceP }

// trainWriter writes the records of training, each once: what is trained again from a checkpoint is there already.
type trainWriter struct {
	stage     *runfolder.Stage
	fail      context.CancelCauseFunc
	step      int // the last one written
	evaluated int // the step of the last evaluation written; -1: none
}

func (w *trainWriter) seen(r trained) {
	if r.Step != nil {
		w.step = r.Step.Step
	}
	if r.Evaluation != nil {
		w.evaluated = r.Evaluation.Step
	}
}

// checkCheckpoint removes the checkpoints where one is ahead of the records, some of which were then cut off by a repair.
func (w *trainWriter) checkCheckpoint(run *runfolder.Folder) error {
	state, err := training.LastState(run.Path(folderCheckpoints))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	if state.Step > w.step || state.Evaluated() > w.evaluated {
		return run.Remove(folderCheckpoints)
	}
	return nil
}

func (w *trainWriter) addStep(s retort.Step) {
	if s.Step > w.step {
		w.append(trained{Step: &trainedStep{
			Step: s.Step, Loss: s.Loss, LR: s.LR, GradNorm: s.GradNorm,
			Queries: s.Queries, Passages: s.Passages, Tokens: s.Tokens,
		}})
	}
}

func (w *trainWriter) addEvaluation(e retort.Evaluation) {
	if e.Step > w.evaluated {
		w.append(trained{Evaluation: &e})
	}
}

func (w *trainWriter) append(r trained) {
	if err := w.stage.Append(r); err != nil {
		w.fail(err)
	}
	w.seen(r)
}

// measure runs Measure for one of the two stages that are its own. runfolder.StageEvaluate has the records of runfolder.StageBefore too.
func (j *job) measure(ctx context.Context, name string, before []json.RawMessage) ([]json.RawMessage, error) {
	if j.Measure == nil {
		return nil, nil
	}
	identity := func() settings {
		if name == runfolder.StageBefore {
			return settings{"student": fingerprint(j.Student), "ranker": j.rankerFingerprint()}
		}
		return settings{"student": fingerprint(j.Student)}
	}
	reads := []string{runfolder.StageBefore, runfolder.StageTrain}
	if name == runfolder.StageBefore {
		reads = nil
	}
	return records(ctx, j, name, reads, identity, func(have int, emit func(json.RawMessage) error) error {
		for _, r := range before[min(have, len(before)):] {
			if err := emit(r); err != nil {
				return fmt.Errorf("pipeline: %w", err)
			}
		}
		n := max(have, len(before))
		emitRecord := func(record any) error {
			n++
			data, err := json.Marshal(record)
			if err != nil {
				return fmt.Errorf("record %d: %w", n, err)
			}
			return emit(data)
		}
		if err := j.Measure(ctx, name == runfolder.StageEvaluate, max(0, have-len(before)), emitRecord); err != nil {
			return fmt.Errorf("pipeline: Measure: %w", err)
		}
		return nil
	})
}
