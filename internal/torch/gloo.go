package torch

import (
	"errors"
	"fmt"
	"sync"

	"github.com/retort-ir/retort/internal/nolibtorch"
	"github.com/retort-ir/retort/internal/torch/raw"
)

// GlooOptions say how one worker of a group connects to the others.
type GlooOptions = raw.GlooOptions

// Gloo is a worker's end of a group over c10d's Gloo. All workers must begin operations in the same order. Gloo needs
// no Runtime.
type Gloo struct {
	group raw.Gloo
	mu    sync.Mutex
	begun int  // operations that are not freed
	ended bool // Free was called
}

var errNoGloo = errors.New("LibTorch was installed without Gloo: " +
	`run "retort libtorch install" again and read its message about Gloo`)

// ConnectGloo waits until all workers have connected.
func ConnectGloo(o GlooOptions) (*Gloo, error) {
	switch {
	case !raw.Available:
		return nil, nolibtorch.Err
	case !raw.GlooAvailable():
		return nil, errNoGloo
	}
	address, socket := "", -1
	if loopback(o.Host) {
		address = o.Host
	}
	if o.Serve {
		var err error
		if socket, err = listen(o.Host, o.Port); err != nil {
			return nil, err
		}
	}
	group, err := raw.GlooConnect(o, socket, address)
	if err != nil {
		return nil, err
	}
	return &Gloo{group: group}, nil
}

// AllReduce begins to sum the values of all workers.
func (g *Gloo) AllReduce(values []float32) (*GlooOperation, error) {
	return g.begin(func() (raw.GlooOperation, error) { return raw.GlooAllReduce(g.group, values) })
}

// AllGather begins to gather room values of each worker. own are this worker's values.
func (g *Gloo) AllGather(own []float32, room int) (*GlooOperation, error) {
	return g.begin(func() (raw.GlooOperation, error) { return raw.GlooAllGather(g.group, own, room) })
}

// Broadcast begins to send the values of root to all workers. On other workers only the number of values matters.
func (g *Gloo) Broadcast(values []float32, root int) (*GlooOperation, error) {
	return g.begin(func() (raw.GlooOperation, error) { return raw.GlooBroadcast(g.group, values, root) })
}

func (g *Gloo) begin(f func() (raw.GlooOperation, error)) (*GlooOperation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return nil, ErrClosed
	}
	op, err := f()
	if err != nil {
		return nil, fmt.Errorf("gloo: %w", err)
	}
	g.begun++
	return &GlooOperation{gloo: g, op: op}, nil
}

// Disconnect makes the operations of other workers fail. An operation of this worker that waits does so until the
// timeout.
func (g *Gloo) Disconnect() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return nil
	}
	return raw.GlooDisconnect(g.group)
}

// Free ends the group once all operations are freed.
func (g *Gloo) Free() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return nil
	}
	g.ended = true
	return g.freeIfDone()
}

func (g *Gloo) freeIfDone() error {
	if !g.ended || g.begun > 0 {
		return nil
	}
	return raw.GlooFree(g.group)
}

// GlooOperation is an operation that has begun. Call Wait, then Free, once each.
type GlooOperation struct {
	gloo *Gloo
	op   raw.GlooOperation
}

// Wait returns once the operation has ended.
func (o *GlooOperation) Wait() error { return raw.GlooWait(o.op) }

// Read copies values of the result, beginning with number start.
func (o *GlooOperation) Read(start int, out []float32) { raw.GlooRead(o.op, start, out) }

// Free frees the operation, and the group if it waits for this operation.
func (o *GlooOperation) Free() error {
	o.gloo.mu.Lock()
	defer o.gloo.mu.Unlock()
	raw.GlooFreeOperation(o.op)
	o.gloo.begun--
	return o.gloo.freeIfDone()
}
