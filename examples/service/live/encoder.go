package live

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/retort-ir/retort/encoder"
)

// Model is an encoder that must be closed, such as a *transformer.Model.
type Model interface {
	encoder.Encoder
	io.Closer
}

// ErrClosed is returned by a closed Encoder.
var ErrClosed = errors.New("live: the encoder is closed")

// Encoder is an encoder that can be replaced while it is in use. Whoever acquired it keeps the model that was current
// then, and a model that was replaced is closed by its last user. It is safe for concurrent use.
type Encoder struct {
	mu      sync.Mutex
	current *generation // nil once closed
}

// generation is a model with the number of its users. Encoder.mu guards it.
type generation struct {
	model   Model
	number  int
	users   int
	retired bool
	closed  chan error // holds what Close returned, once the last user is gone
}

// New returns an encoder of generation 1 and takes over the model.
func New(m Model) *Encoder {
	return &Encoder{current: &generation{model: m, number: 1, closed: make(chan error, 1)}}
}

// Lease keeps a model open until Release.
type Lease struct {
	encoder.Encoder
	Generation int // 1 for the first model, 2 for the one that replaced it, and so on

	of   *Encoder
	held *generation // nil once released
}

// Acquire returns the current model, which stays open until Release.
func (e *Encoder) Acquire() (*Lease, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.current
	if g == nil {
		return nil, ErrClosed
	}
	g.users++
	return &Lease{Encoder: g.model, Generation: g.number, of: e, held: g}, nil
}

// Release gives the model back. A second call does nothing.
func (l *Lease) Release() {
	l.of.mu.Lock()
	g := l.held
	l.held = nil
	last := false
	if g != nil {
		g.users--
		last = g.retired && g.users == 0
	}
	l.of.mu.Unlock()
	if last {
		g.closed <- g.model.Close()
	}
}

// Swap makes next the current model and takes it over. It does not wait for the users of the one before: the channel
// holds what closing that one returned once they are gone. After Close it is next that is closed, and the error is
// ErrClosed.
func (e *Encoder) Swap(next Model) (closed <-chan error, err error) {
	e.mu.Lock()
	old := e.current
	if old == nil {
		e.mu.Unlock()
		return nil, errors.Join(ErrClosed, next.Close())
	}
	e.current = &generation{model: next, number: old.number + 1, closed: make(chan error, 1)}
	idle := old.retire()
	e.mu.Unlock()
	if idle {
		old.closed <- old.model.Close()
	}
	return old.closed, nil
}

// Generation returns the number of the current model, 0 after Close.
func (e *Encoder) Generation() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == nil {
		return 0
	}
	return e.current.number
}

// Close lets nobody acquire the encoder any more and waits for the last user of the current model, which closes it, or
// for the end of ctx. A second call does nothing.
func (e *Encoder) Close(ctx context.Context) error {
	e.mu.Lock()
	old := e.current
	e.current = nil
	idle := old != nil && old.retire()
	e.mu.Unlock()
	if old == nil {
		return nil
	}
	if idle {
		return old.model.Close()
	}
	select {
	case err := <-old.closed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retire reports whether the model has no users, so that the caller must close it.
func (g *generation) retire() bool {
	g.retired = true
	return g.users == 0
}
