package crossencoder

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
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

// differences say what differs between two runs where the values of identity tell people nothing.
var differences = map[string]string{
	"start":    "another start, length limit or precision",
	"examples": "other examples", "held-out examples": "other held-out examples",
}

// learning is what a checkpoint holds: weights and moments.
func (t *trainer) learning() encodernet.State { return encodernet.State{}.Add("", t.net.params) }

// Save is the loop's.
func (t *trainer) Save(w io.Writer) error {
	var tensors []safetensors.Tensor
	err := t.rt.Run(context.Background(), func(s *torch.Scope) (err error) {
		tensors, err = t.learning().Read(s)
		return err
	})
	if err != nil {
		return err
	}
	return safetensors.Write(w, tensors, nil)
}

// Load is the loop's.
func (t *trainer) Load(f *checkpoint.File) error {
	learned, err := parse(f)
	if err != nil {
		return err
	}
	learning := t.learning()
	if err := learning.Check(learned); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	t.steps = t.state.Step
	return t.rt.Run(context.Background(), func(s *torch.Scope) error { return learning.Restore(s, learned) })
}

// SaveBest is the loop's: it writes the weights alone.
func (t *trainer) SaveBest(w io.Writer) error {
	tensors, err := t.weights()
	if err != nil {
		return err
	}
	return safetensors.Write(w, tensors, nil)
}

// bestWeights reads what SaveBest wrote of the best model.
func (t *trainer) bestWeights() (all []safetensors.Tensor, err error) {
	f, err := t.loop.OpenBest()
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

func parse(f *checkpoint.File) (*safetensors.File, error) {
	return safetensors.Parse(f.Body, f.Body.Size(), f.Path)
}
