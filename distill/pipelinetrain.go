package distill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/retort-ir/retort"
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
	folderMetrics     = "metrics"     // of package distill/metrics, where the caller puts it there
)

// trained is a record of StageTrain: a step, an evaluation or, last, the result.
type trained struct {
	Step       *trainedStep       `json:"step,omitempty"`
	Evaluation *retort.Evaluation `json:"evaluation,omitempty"`
	Result     *Result            `json:"result,omitempty"`
	Guard      *eval.Comparison   `json:"guard,omitempty"` // beside Result
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
	if j.folder == nil {
		if err := j.trainGuarded(ctx, j.trainingOptions(), out); err != nil {
			return err
		}
		j.describe(out)
		return nil
	}
	s, err := j.trainSettings(ctx, out)
	if err != nil {
		return err
	}
	var reads []Stage
	if j.Lists == nil {
		reads = []Stage{StageFilter}
	}
	stage, err := j.begin(StageTrain, s, reads)
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
	s := identity(j.Student, out.Lists, o.Selection.Dev, "", o)
	delete(s, "passages")
	s["DevFraction"], s["Interpolate"] = fmt.Sprint(o.Selection.DevFraction), fmt.Sprint(o.Selection.Interpolate)
	s["Guard"] = fmt.Sprint(j.Guard != nil)
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
		out.Training, out.Guard = records[n-1].Result, records[n-1].Guard
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
	o.Events = retort.Tee(w.events(), o.Events)
	trainCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.fail = cancel
	if err := j.trainGuarded(trainCtx, o, out); err != nil {
		if cause := context.Cause(trainCtx); cause != nil && ctx.Err() == nil {
			return fmt.Errorf("distill: %w", cause) // a record could not be written
		}
		return err
	}
	if err := context.Cause(trainCtx); err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	j.describe(out)
	if err := j.folder.Replace(ctx, j.saveTrained, trainedFiles...); err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	return stage.Append(trained{Result: out.Training, Guard: out.Guard})
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
	if err := j.loadState(); err != nil {
		return fmt.Errorf(`%w; to train anew, remove %s too, or run "retort repair %s"`,
			err, j.folder.Path(string(StageTrain)+".jsonl"), j.folder.Dir())
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

func (j *job) loadState() error {
	f, err := checkpoint.Open(j.folder.Path(folderState))
	if err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	if err := errors.Join(loadState(f, j.Student), f.Close()); err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	return nil
}

// split gives the student the towers that it is trained with.
func (j *job) split() error {
	if j.Training.Towers != QueryOnly {
		return nil
	}
	s, ok := j.Student.(encoder.Splitter)
	if !ok {
		return fmt.Errorf("distill: Towers QueryOnly needs a student that implements encoder.Splitter, %T does not", j.Student)
	}
	if err := s.SplitTowers(); err != nil {
		return fmt.Errorf("distill: split the towers: %w", err)
	}
	return nil
}

// trainGuarded trains, and brings the student back as it was where the guard does not hold.
func (j *job) trainGuarded(ctx context.Context, o Options, out *Outcome) error {
	var before []float64
	var start Weights
	var err error
	if j.Guard != nil {
		if err := j.split(); err != nil { // as Train would, so that the weights remembered are those that learn
			return err
		}
		if start, err = ReadWeights(j.Student); err != nil {
			return err
		}
		if before, err = j.Guard(ctx, j.Student); err != nil {
			return fmt.Errorf("distill: Guard: %w", err)
		}
	}
	if out.Training, err = Train(ctx, j.Student, j.Corpus, out.Lists, o); err != nil || j.Guard == nil {
		return err
	}
	after, err := j.Guard(ctx, j.Student)
	if err != nil {
		return fmt.Errorf("distill: Guard: %w", err)
	}
	gain, err := eval.Paired(ctx, before, after, j.Mining.Seed)
	if err != nil {
		return fmt.Errorf("distill: Guard: %w", err)
	}
	out.Guard = &gain
	if gain.Delta > 0 && gain.P < GuardP {
		return nil
	}
	out.Training.Best, out.Training.Alpha = retort.Evaluation{}, 0
	if len(out.Training.History) > 0 {
		out.Training.Best = out.Training.History[0]
	}
	return SetInterpolated(j.Student, start, start, 0)
}

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
		return fmt.Errorf("distill: %w", err)
	}
	if state.Step > w.step || state.Evaluated() > w.evaluated {
		return run.Remove(folderCheckpoints)
	}
	return nil
}

func (w *trainWriter) events() retort.Events {
	return retort.Events{
		Step: func(s retort.Step) {
			if s.Step > w.step {
				w.append(trained{Step: &trainedStep{
					Step: s.Step, Loss: s.Loss, LR: s.LR, GradNorm: s.GradNorm,
					Queries: s.Queries, Passages: s.Passages, Tokens: s.Tokens,
				}})
			}
		},
		Evaluation: func(e retort.Evaluation) {
			if e.Step > w.evaluated {
				w.append(trained{Evaluation: &e})
			}
		},
	}
}

func (w *trainWriter) append(r trained) {
	if err := w.stage.Append(r); err != nil {
		w.fail(err)
	}
	w.seen(r)
}

// measure runs Measure for one of the two stages that are its own. StageEvaluate has the records of StageBefore too.
func (j *job) measure(ctx context.Context, name Stage, before []json.RawMessage) ([]json.RawMessage, error) {
	if j.Measure == nil {
		return nil, nil
	}
	identity := func() settings {
		if name == StageBefore {
			return settings{"student": fingerprint(j.Student), "ranker": j.rankerFingerprint()}
		}
		return settings{"student": fingerprint(j.Student)}
	}
	reads := []Stage{StageBefore, StageTrain}
	if name == StageBefore {
		reads = nil
	}
	return records(ctx, j, name, reads, identity, func(have int, emit func(json.RawMessage) error) error {
		for _, r := range before[min(have, len(before)):] {
			if err := emit(r); err != nil {
				return fmt.Errorf("distill: %w", err)
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
		if err := j.Measure(ctx, name == StageEvaluate, max(0, have-len(before)), emitRecord); err != nil {
			return fmt.Errorf("distill: Measure: %w", err)
		}
		return nil
	})
}
