package bert

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
)

// stateFormat marks what SaveState writes: a safetensors file of the weights that learn and of their moments.
const stateFormat = "retort.bert.state.1"

// SaveState writes the weights that learn, AdamW's moments and its count of steps. There is no random state: dropout is 0.
func (m *Model) SaveState(w io.Writer) error {
	var tensors []safetensors.Tensor
	err := m.rt.Run(context.Background(), func(s *torch.Scope) error {
		for _, slot := range m.slots() {
			if *slot.tensor != nil {
				tensors = append(tensors, safetensors.Tensor{Name: slot.name, Shape: slot.p.shape, Values: s.Floats(*slot.tensor)})
			}
		}
		return s.Err()
	})
	if err != nil {
		return err
	}
	return safetensors.Write(w, tensors, map[string]string{"format": stateFormat, "steps": strconv.Itoa(m.steps)})
}

// LoadState brings back what SaveState of a model of the same shape and towers wrote, and zeroes the gradients.
func (m *Model) LoadState(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("bert: read state: %w", err)
	}
	f, err := safetensors.Parse(bytes.NewReader(data), int64(len(data)), "state")
	if err != nil {
		return fmt.Errorf("bert: %w", err)
	}
	steps, err := m.checkState(f)
	if err != nil {
		return err
	}
	return m.rt.Run(context.Background(), func(s *torch.Scope) error { return m.restore(s, f, steps) })
}

// checkState reads all of the state's shapes before anything is changed.
func (m *Model) checkState(f *safetensors.File) (steps int, err error) {
	if m.query == nil {
		return 0, torch.ErrClosed
	}
	if got := f.Metadata()["format"]; got != stateFormat {
		return 0, fmt.Errorf("bert: a state of format %q, want %q", got, stateFormat)
	}
	steps, err = strconv.Atoi(f.Metadata()["steps"])
	if err != nil || steps < 0 {
		return 0, fmt.Errorf("bert: a state after %q steps", f.Metadata()["steps"])
	}
	known := 0
	for _, slot := range m.slots() {
		shape, ok := f.Shape(slot.name)
		switch {
		case !ok && slot.moment:
			continue
		case !ok:
			return 0, fmt.Errorf("bert: the state lacks %s: was it saved by another model, or with other towers learning?", slot.name)
		case !slices.Equal(shape, slot.p.shape):
			return 0, fmt.Errorf("bert: the state's %s has shape %v, the model's %v", slot.name, shape, slot.p.shape)
		case f.DType(slot.name) != "F32":
			return 0, fmt.Errorf("bert: the state's %s is of type %s", slot.name, f.DType(slot.name))
		}
		known++
	}
	if n := len(f.Names()); n != known {
		return 0, fmt.Errorf("bert: the state holds %d tensors, the model knows %d of them: was it saved with other towers learning?", n, known)
	}
	return steps, nil
}

func (m *Model) restore(s *torch.Scope, f *safetensors.File, steps int) error {
	m.changed()
	m.steps = steps
	for _, n := range m.learning() {
		for _, p := range n.params {
			s.Free(p.first, p.second)
			p.first, p.second = nil, nil
		}
		n.zeroGradients(s)
	}
	for _, slot := range m.slots() {
		_, values, err := f.Tensor(slot.name)
		if err != nil {
			if slot.moment {
				continue // a state from before the first step
			}
			return err
		}
		if slot.moment {
			slot.p.moments(s)
		}
		s.NoGrad(func() { s.Copy(*slot.tensor, s.FromFloats(values, int64s(slot.p.shape)...)) })
		if s.Err() != nil {
			return s.Err()
		}
	}
	return nil
}

// slot is one tensor of the state.
type slot struct {
	name   string
	p      *parameter
	tensor *torch.Tensor // points to nil for moments before the first step
	moment bool
}

func (m *Model) slots() []slot {
	var slots []slot
	for i, n := range m.learning() {
		tower := [...]string{"query.", "passage."}[i]
		for _, p := range n.params {
			slots = append(slots,
				slot{tower + p.name + ".value", p, &p.value, false},
				slot{tower + p.name + ".first", p, &p.first, true},
				slot{tower + p.name + ".second", p, &p.second, true})
		}
	}
	return slots
}
