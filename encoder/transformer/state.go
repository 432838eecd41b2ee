package transformer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
)

// stateFormat marks the files of SaveState: safetensors files of the trainable weights and their moments.
const stateFormat = "retort.bert.state.1"

// SaveState writes the trainable weights, AdamW's moments and its step count. There is no random state because dropout
// is 0.
func (m *Model) SaveState(w io.Writer) error {
	var tensors []safetensors.Tensor
	err := m.run(context.Background(), func(s *torch.Scope) (err error) {
		tensors, err = m.state().Read(s)
		return err
	})
	if err != nil {
		return err
	}
	return safetensors.Write(w, tensors, map[string]string{"format": stateFormat, "steps": strconv.Itoa(m.steps)})
}

// LoadState restores a state that SaveState wrote for a model of the same shape and towers, and zeroes the gradients.
func (m *Model) LoadState(r io.Reader) error {
	if m.rt == nil {
		return errTraining
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("transformer: read state: %w", err)
	}
	f, err := safetensors.Parse(bytes.NewReader(data), int64(len(data)), "state")
	if err != nil {
		return fmt.Errorf("transformer: %w", err)
	}
	m.weights.Lock()
	defer m.weights.Unlock()
	steps, err := m.checkState(f)
	if err != nil {
		return err
	}
	return m.run(context.Background(), func(s *torch.Scope) error { return m.restore(s, f, steps) })
}

// checkState checks all shapes before LoadState changes anything, so that a bad state leaves the model unchanged.
func (m *Model) checkState(f *safetensors.File) (steps int, err error) {
	if m.query == nil {
		return 0, torch.ErrClosed
	}
	if got := f.Metadata()["format"]; got != stateFormat {
		return 0, fmt.Errorf("transformer: a state of format %q, want %q", got, stateFormat)
	}
	steps, err = strconv.Atoi(f.Metadata()["steps"])
	if err != nil || steps < 0 {
		return 0, fmt.Errorf("transformer: a state after %q steps", f.Metadata()["steps"])
	}
	if err := m.state().Check(f); err != nil {
		return 0, fmt.Errorf("transformer: %w", err)
	}
	return steps, nil
}

func (m *Model) restore(s *torch.Scope, f *safetensors.File, steps int) error {
	m.changed()
	m.steps = steps
	return m.state().Restore(s, f)
}

func (m *Model) state() encodernet.State {
	var state encodernet.State
	for i, n := range m.learning() {
		state = state.Add([...]string{"query.", "passage."}[i], n.Params)
	}
	return state
}
