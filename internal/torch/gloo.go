package torch

import (
	"errors"
	"fmt"
	"sync"

	"github.com/retort-ir/retort/internal/nolibtorch"
	"github.com/retort-ir/retort/internal/torch/raw"
)

// GlooOptions say how one worker of a group finds the others.
type GlooOptions = raw.GlooOptions

// Gloo is a worker's end of a group over c10d's Gloo. Its operations are begun in the same order by all workers. It
// needs no Runtime.
type Gloo struct {
	group raw.Gloo
	mu    sync.Mutex
	begun int  // operations that are not freed
	ended bool // Free was called
}

var errNoGloo = errors.New(`LibTorch was installed without Gloo: run "retort libtorch install" again and see what it says of Gloo`)

// ConnectGloo waits until all workers have come.
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

// AllReduce begins to add up the values of all workers.
func (g *Gloo) AllReduce(values []float32) (*GlooOperation, error) {
	return g.begin(func() (raw.GlooOperation, error) { return raw.GlooAllReduce(g.group, values) })
}

// AllGather begins to gather room values of each worker, of which this one gives those of own.
func (g *Gloo) AllGather(own []float32, room int) (*GlooOperation, error) {
	return g.begin(func() (raw.GlooOperation, error) { return raw.GlooAllGather(g.group, own, room) })
}

// Broadcast begins to give all workers the values of root; those of the others only say how many there are.
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

// Disconnect lets the operations of the other workers fail. One of this worker's that waits goes on waiting, until the
// timeout.
func (g *Gloo) Disconnect() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return nil
	}
	return raw.GlooDisconnect(g.group)
}

// Free ends the group once the operations that were begun are freed.
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

// GlooOperation is one that was begun. It must be waited for, and then freed once.
type GlooOperation struct {
	gloo *Gloo
	op   raw.GlooOperation
}

// Wait returns once the operation has ended.
func (o *GlooOperation) Wait() error { return raw.GlooWait(o.op) }

// Read copies values of the result, from the one numbered start on.
func (o *GlooOperation) Read(start int, out []float32) { raw.GlooRead(o.op, start, out) }

// Free may be the last one that its group waits for.
func (o *GlooOperation) Free() error {
	o.gloo.mu.Lock()
	defer o.gloo.mu.Unlock()
	raw.GlooFreeOperation(o.op)
	o.gloo.begun--
	return o.gloo.freeIfDone()
}
