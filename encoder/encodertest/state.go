package encodertest

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/atomicfile"
)

const (
	fileName = "encodertest.gob"
	version  = 1
)

// state is an Encoder on disk.
type state struct {
	Version int
	Options Options
	Steps   int
	Query   []weightState
	Passage []weightState // nil while the towers are one
}

type weightState struct {
	Name      string
	Value     []float32
	M1, M2    []float32
	WithoutMs bool // M1 and M2 are left out: a model that is deployed, not trained
}

// SaveState implements encoder.Trainable.
func (e *Encoder) SaveState(w io.Writer) error { return e.write(w, true) }

// LoadState implements encoder.Trainable. The state must come from an encoder with the same options except Seed. A
// state with two towers splits the towers of e.
func (e *Encoder) LoadState(r io.Reader) error {
	loaded, err := read(r)
	if err != nil {
		return err
	}
	theirs, mine := loaded.options, e.options
	theirs.Seed = mine.Seed
	if theirs != mine {
		return fmt.Errorf("encodertest: the state has the options %+v, the encoder %+v", theirs, mine)
	}
	e.query, e.passage, e.steps = loaded.query, loaded.passage, loaded.steps
	return nil
}

// Save implements encoder.Trainable: a folder with one file that Open reads. A folder that exists must be empty.
func (e *Encoder) Save(dir string) (err error) {
	if err := removeEmpty(dir); err != nil {
		return fmt.Errorf("encodertest: save: %w", err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-*")
	if err != nil {
		return fmt.Errorf("encodertest: save: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil {
		return fmt.Errorf("encodertest: save: %w", err)
	}
	write := func(w io.Writer) error { return e.write(w, false) }
	if err := atomicfile.Write(filepath.Join(temp, fileName), write); err != nil {
		return fmt.Errorf("encodertest: save: %w", err)
	}
	if err := os.Rename(temp, dir); err != nil {
		return fmt.Errorf("encodertest: save: %w", err)
	}
	return nil
}

func removeEmpty(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s exists and is not a folder", dir)
	}
	return os.Remove(dir)
}

// Open reads the folder that Save wrote.
func Open(dir string) (*Encoder, error) {
	f, err := os.Open(filepath.Join(dir, fileName))
	if err != nil {
		return nil, fmt.Errorf("encodertest: open: %w", err)
	}
	defer f.Close()
	e, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return e, nil
}

func (e *Encoder) write(w io.Writer, training bool) error {
	s := state{Version: version, Options: e.options, Query: e.query.state(training)}
	if training {
		s.Steps = e.steps
	}
	if e.passage != e.query {
		s.Passage = e.passage.state(false)
	}
	return gob.NewEncoder(w).Encode(s)
}

func read(r io.Reader) (*Encoder, error) {
	var s state
	if err := gob.NewDecoder(r).Decode(&s); err != nil {
		return nil, fmt.Errorf("encodertest: read state: %w", err)
	}
	if s.Version != version {
		return nil, fmt.Errorf("encodertest: state of version %d, want %d", s.Version, version)
	}
	if err := s.Options.Validate(); err != nil {
		return nil, err
	}
	e := &Encoder{options: s.Options.withDefaults(), steps: s.Steps}
	var err error
	if e.query, err = readTower(e.options, s.Query); err != nil {
		return nil, err
	}
	e.passage = e.query
	if s.Passage != nil {
		e.passage, err = readTower(e.options, s.Passage)
	}
	return e, err
}

func (t *tower) state(training bool) []weightState {
	states := make([]weightState, len(t.weights))
	for i, w := range t.weights {
		states[i] = weightState{Name: w.name, Value: w.value, WithoutMs: !training}
		if training {
			states[i].M1, states[i].M2 = w.m1, w.m2
		}
	}
	return states
}

func readTower(o Options, states []weightState) (*tower, error) {
	want := len(tower{}.weights)
	if len(states) != want {
		return nil, fmt.Errorf("encodertest: state holds %d weights, want %d", len(states), want)
	}
	size := [...]int{embeddings: o.Buckets * o.Dim, projection: o.Dim * o.Dim, bias: o.Dim}
	for i, s := range states {
		n := size[i]
		if len(s.Value) != n || (!s.WithoutMs && (len(s.M1) != n || len(s.M2) != n)) {
			return nil, fmt.Errorf("encodertest: state's weight %q has %d values, want %d", s.Name, len(s.Value), n)
		}
	}
	t := newTower(o)
	for i, s := range states {
		copy(t.weights[i].value, s.Value)
		copy(t.weights[i].m1, s.M1)
		copy(t.weights[i].m2, s.M2)
	}
	return t, nil
}
