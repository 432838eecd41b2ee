package crossencoder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/bertnet"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
)

// trainState is the trainer's part of a checkpoint. The order, the groups and the schedule follow from Step.
type trainState struct {
	Run       map[string]string   `json:"run"` // all that decides the result: see identity
	Step      int                 `json:"step"`
	PartDone  bool                `json:"part_done"` // the steps up to an evaluation are made, the evaluation is not
	Done      bool                `json:"done"`
	Best      retort.Evaluation   `json:"best"`
	Worse     int                 `json:"worse"` // evaluations since the best one
	History   []retort.Evaluation `json:"history"`
	LossSum   float64             `json:"loss_sum"` // of the steps since the last evaluation
	LossSteps int                 `json:"loss_steps"`
}

// best returns the step of the best model, -1 before the first evaluation.
func (s *trainState) best() int {
	if len(s.History) == 0 {
		return -1
	}
	return s.Best.Step
}

// identity holds, by name, everything that decides the bits of the result.
func (t *trainer) identity(ctx context.Context, dev []candidates) (map[string]string, error) {
	start, err := t.net.digest(ctx, t.rt, t.folder)
	if err != nil {
		return nil, err
	}
	train, err := hashExamples(ctx, t.corpus, t.examples)
	if err != nil {
		return nil, err
	}
	held, err := hashExamples(ctx, t.corpus, dev)
	if err != nil {
		return nil, err
	}
	o := t.options
	id := map[string]string{
		"start": start, "examples": train, "held-out examples": held,
		"Loss": checkpoint.Describe(t.loss),
	}
	for name, value := range map[string]any{
		"Epochs": o.Epochs, "QueriesPerStep": o.QueriesPerStep, "GroupSize": o.GroupSize, "LR": o.LR, "Warmup": o.Warmup,
		"WeightDecay": o.WeightDecay, "ClipNorm": o.ClipNorm, "Seed": o.Seed, "EvalSteps": o.EvalSteps, "Patience": o.Patience,
		"Model.BatchTokens": t.budget,
	} {
		id[name] = fmt.Sprint(value)
	}
	return id, nil
}

// findCheckpoint makes the folder, and goes on from the checkpoint where it holds one.
func (t *trainer) findCheckpoint() (err error) {
	if t.options.Dir == "" {
		return nil
	}
	if t.checkpoints, err = checkpoint.OpenFolder(t.options.Dir); err != nil {
		return fmt.Errorf("crossencoder: TrainOptions.Dir: %w", err)
	}
	f, damage, err := checkpoint.Last(t.options.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("crossencoder: %w", err)
	}
	if err := errors.Join(t.goOn(f, damage), f.Close()); err != nil {
		return fmt.Errorf("crossencoder: %w", err)
	}
	return nil
}

// goOn takes over what the checkpoint says.
func (t *trainer) goOn(f *checkpoint.File, damage error) error {
	var state trainState
	if err := f.State(&state); err != nil {
		return err
	}
	if err := t.checkSameRun(f.Path, state.Run); err != nil {
		return err
	}
	if damage != nil {
		t.options.Events.Warning(retort.Warning{
			Message: "the last checkpoint is damaged, training goes on from the one before",
			Attrs:   []slog.Attr{slog.Any("error", damage), slog.Int("step", state.Step)},
		})
	}
	learned, err := parse(f)
	if err != nil {
		return err
	}
	learning := t.learning()
	if err := learning.Check(learned); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if state.best() >= 0 {
		if t.best, err = t.readBest(state.best()); err != nil {
			return err
		}
	}
	err = t.rt.Run(context.Background(), func(s *torch.Scope) error { return learning.Restore(s, learned) })
	if err != nil {
		return err
	}
	t.state, t.steps, t.savedAt = state, state.Step, state.Step
	return t.checkpoints.GoOn(f)
}

// checkSameRun returns an error that names what differs between the run of a checkpoint and this one.
func (t *trainer) checkSameRun(path string, theirs map[string]string) error {
	err := checkpoint.CheckSameRun(theirs, t.state.Run, map[string]string{
		"start": "another start, length limit or precision", "examples": "other examples", "held-out examples": "other held-out examples",
	})
	if err != nil {
		return fmt.Errorf("%s belongs to another run (%w): remove it, or take another TrainOptions.Dir", path, err)
	}
	return nil
}

// checkpointAtEnd saves the steps since the last checkpoint where the context has ended. After another error it does not:
// what broke the model may have broken its state.
func (t *trainer) checkpointAtEnd(ctx context.Context) error {
	if ctx.Err() == nil || t.state.Step == t.savedAt {
		return nil
	}
	return t.checkpoint(context.WithoutCancel(ctx))
}

// checkpoint comes after the best model is written.
func (t *trainer) checkpoint(ctx context.Context) error {
	if t.checkpoints == nil {
		return nil
	}
	start := time.Now()
	event := retort.Checkpoint{Step: t.state.Step, Dir: t.checkpoints.Dir()}
	t.options.Events.Checkpoint(event)
	var tensors []safetensors.Tensor
	err := t.rt.Run(ctx, func(s *torch.Scope) (err error) {
		tensors, err = t.learning().Read(s)
		return err
	})
	if err != nil {
		return err
	}
	if err := t.checkpoints.Write(t.state, t.state.best(), body(tensors)); err != nil {
		return fmt.Errorf("crossencoder: step %d is not saved: %w", t.state.Step, err)
	}
	t.saved, t.savedAt = time.Now(), t.state.Step
	event.Saved, event.Took = true, time.Since(start)
	t.options.Events.Checkpoint(event)
	return t.checkpoints.Prune()
}

func (t *trainer) writeBest(step int) error {
	if t.checkpoints == nil {
		return nil
	}
	if err := t.checkpoints.WriteBest(step, body(t.best)); err != nil {
		return fmt.Errorf("the best model is not saved: %w", err)
	}
	return nil
}

func (t *trainer) readBest(step int) (all []safetensors.Tensor, err error) {
	f, err := t.checkpoints.OpenBest(step)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	weights, err := parse(f)
	if err != nil {
		return nil, err
	}
	for _, name := range weights.Names() {
		shape, values, err := weights.Tensor(name)
		if err != nil {
			return nil, err
		}
		all = append(all, safetensors.Tensor{Name: name, Shape: shape, Values: values})
	}
	return all, nil
}

// learning is what a checkpoint holds: weights and moments.
func (t *trainer) learning() bertnet.State { return bertnet.State{}.Add("", t.net.params) }

// body is that of a file of the folder: tensors in safetensors' format.
func body(tensors []safetensors.Tensor) func(io.Writer) error {
	return func(w io.Writer) error { return safetensors.Write(w, tensors, nil) }
}

func parse(f *checkpoint.File) (*safetensors.File, error) {
	return safetensors.Parse(f.Body, f.Body.Size(), f.Path)
}
