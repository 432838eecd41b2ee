package crossencoder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/bertnet"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
)

// trainState is the trainer's part of a checkpoint. The order, the groups and the schedule follow from Step.
type trainState struct {
	Run       map[string]string `json:"run"` // all that decides the result: see identity
	Step      int               `json:"step"`
	PartDone  bool              `json:"part_done"` // the steps up to an evaluation are made, the evaluation is not
	Done      bool              `json:"done"`
	Best      Evaluation        `json:"best"`
	Worse     int               `json:"worse"` // evaluations since the best one
	History   []Evaluation      `json:"history"`
	LossSum   float64           `json:"loss_sum"` // of the steps since the last evaluation
	LossSteps int               `json:"loss_steps"`
}

// A checkpoint is a safetensors file of weights and moments, with the trainer's state among the file's own strings.
const (
	checkpointName   = "checkpoint.safetensors"
	checkpointFormat = "retort.crossencoder.train.1"
)

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
	fields, err := json.Marshal(t.loss)
	if err != nil {
		fields = nil // told apart by the type alone
	}
	id := map[string]string{
		"start": start, "examples": train, "held-out examples": held,
		"Loss": fmt.Sprintf("%T %s", t.loss, fields),
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

func (t *trainer) learning() bertnet.State { return bertnet.State{}.Add("", t.net.params) }

func (t *trainer) writeCheckpoint(ctx context.Context, path string) error {
	var tensors []safetensors.Tensor
	err := t.rt.Run(ctx, func(s *torch.Scope) (err error) {
		tensors, err = t.learning().Read(s)
		return err
	})
	if err != nil {
		return err
	}
	state, err := json.Marshal(t.state)
	if err != nil {
		return err
	}
	metadata := map[string]string{"format": checkpointFormat, "train": string(state), "steps": strconv.Itoa(t.steps)}
	return atomicfile.Write(path, func(w io.Writer) error { return safetensors.Write(w, tensors, metadata) })
}

// readCheckpoint returns os.ErrNotExist where there is none.
func (t *trainer) readCheckpoint(path string) (err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return fmt.Errorf("%w (where it is damaged, remove it to start anew)", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if got := f.Metadata()["format"]; got != checkpointFormat {
		return fmt.Errorf("%s is of format %q, want %q", path, got, checkpointFormat)
	}
	var state trainState
	if err := json.Unmarshal([]byte(f.Metadata()["train"]), &state); err != nil {
		return fmt.Errorf("%s is damaged (%w): remove it to start anew", path, err)
	}
	if err := checkSameRun(path, state.Run, t.state.Run); err != nil {
		return err
	}
	learning := t.learning()
	if err := learning.Check(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if t.steps, err = strconv.Atoi(f.Metadata()["steps"]); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(state.History) > 0 {
		if t.best, err = readTensors(bestPath(t.options.Dir, state.Best.Step)); err != nil {
			return err
		}
	}
	t.state = state
	return t.rt.Run(context.Background(), func(s *torch.Scope) error { return learning.Restore(s, f) })
}

// checkSameRun returns an error that names what differs between the run of a checkpoint and this one.
func checkSameRun(path string, theirs, ours map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if theirs[name] == ours[name] {
			continue
		}
		what := fmt.Sprintf("%s is %s there and %s here", name, theirs[name], ours[name])
		switch name {
		case "start":
			what = "another start, length limit or precision"
		case "examples", "held-out examples":
			what = "other " + name
		}
		return fmt.Errorf("%s belongs to another run (%s): remove it, or take another TrainOptions.Dir", path, what)
	}
	return nil
}

// bestPath names the file of the model that was best after a step. The step is in the name so that a checkpoint never finds
// the best model of a later time.
func bestPath(dir string, step int) string {
	return filepath.Join(dir, fmt.Sprintf("best-%d.safetensors", step))
}

func (t *trainer) writeBest(step int) error {
	if t.options.Dir == "" {
		return nil
	}
	return atomicfile.Write(bestPath(t.options.Dir, step), func(w io.Writer) error { return safetensors.Write(w, t.best, nil) })
}

// removeOtherBests removes the best models that no checkpoint needs any more.
func removeOtherBests(dir string, step int) error {
	paths, err := filepath.Glob(filepath.Join(dir, "best-*.safetensors"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if path != bestPath(dir, step) {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
}

func readTensors(path string) (all []safetensors.Tensor, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, name := range f.Names() {
		shape, values, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		all = append(all, safetensors.Tensor{Name: name, Shape: shape, Values: values})
	}
	return all, nil
}
