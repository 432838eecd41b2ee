package distill

import (
	"context"
	"fmt"
	"sync"
)

// NewLocalGroups returns the n members of a group of goroutines in this process, for several devices and for tests. The
// member of rank r is at index r. Each implements Aborter. For n < 1 it returns none.
func NewLocalGroups(n int) []Group {
	n = max(n, 0)
	hub := &hub{size: n, over: make(chan struct{})}
	groups := make([]Group, n)
	for r := range groups {
		groups[r] = &localGroup{hub: hub, rank: r}
	}
	return groups
}

type localGroup struct {
	hub  *hub
	rank int
}

func (g *localGroup) Rank() int { return g.rank }
func (g *localGroup) Size() int { return g.hub.size }

func (g *localGroup) AllGather(ctx context.Context, parts [][]float32) error {
	if len(parts) != g.hub.size {
		return fmt.Errorf("distill: AllGather got %d parts for %d workers", len(parts), g.hub.size)
	}
	return g.hub.meet(ctx, g.rank, meeting{"AllGather", gather}, parts)
}

func (g *localGroup) AllReduce(ctx context.Context, values []float32) error {
	return g.hub.meet(ctx, g.rank, meeting{"AllReduce", reduce}, [][]float32{values})
}

// Abort ends the group for all of its workers.
func (g *localGroup) Abort() error {
	g.hub.mu.Lock()
	defer g.hub.mu.Unlock()
	g.hub.end(fmt.Errorf("worker %d of %d has left", g.rank, g.hub.size))
	return nil
}

// hub is the state shared by the workers.
type hub struct {
	size int
	mu   sync.Mutex
	now  *round        // nil: no worker waits
	err  error         // why the group is over
	over chan struct{} // closed with err
}

// round is one call that some workers have made.
type round struct {
	name   string
	slices [][][]float32 // by rank; nil: the worker has not made the call
	came   int
	done   chan struct{} // closed once all workers have made the call and err is set
	err    error
}

type meeting struct {
	name string
	do   func(slices [][][]float32) error
}

// meet waits for the other workers; the last worker does the work for all.
func (h *hub) meet(ctx context.Context, rank int, m meeting, slices [][]float32) error {
	if err := ctx.Err(); err != nil {
		return h.leave(rank, nil, err)
	}
	r, err := h.join(rank, m, slices)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-h.over:
		return h.leave(rank, r, nil)
	case <-ctx.Done():
		return h.leave(rank, r, ctx.Err())
	}
}

func (h *hub) join(rank int, m meeting, slices [][]float32) (*round, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return nil, h.err
	}
	if h.now == nil {
		h.now = &round{name: m.name, slices: make([][][]float32, h.size), done: make(chan struct{})}
	}
	r := h.now
	if r.name != m.name || r.slices[rank] != nil {
		h.end(fmt.Errorf("worker %d of %d called %s while another worker called %s", rank, h.size, m.name, r.name))
		return nil, h.err
	}
	r.slices[rank] = slices
	if r.came++; r.came == h.size {
		if r.err = m.do(r.slices); r.err != nil {
			h.end(r.err)
		}
		h.now = nil
		close(r.done)
	}
	return r, nil
}

// leave returns the outcome of a round that a worker stops waiting for. Afterwards no other worker accesses its slices.
func (h *hub) leave(rank int, r *round, cause error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r != nil {
		select {
		case <-r.done:
			return r.err
		default:
		}
	}
	if cause == nil {
		return h.err
	}
	h.end(fmt.Errorf("worker %d of %d: %v", rank, h.size,
		cause)) // not wrapped: the contexts of the other workers have not ended
	return cause
}

// end needs mu.
func (h *hub) end(err error) {
	if h.err == nil {
		h.err = err
		h.now = nil
		close(h.over)
	}
}

func gather(slices [][][]float32) error {
	if err := sameLengths("AllGather", slices); err != nil {
		return err
	}
	for from, parts := range slices {
		for to := range slices {
			if to != from {
				copy(slices[to][from], parts[from])
			}
		}
	}
	return nil
}

// reduce adds up in the order of ranks.
func reduce(slices [][][]float32) error {
	if err := sameLengths("AllReduce", slices); err != nil {
		return err
	}
	sum := slices[0][0]
	for _, other := range slices[1:] {
		for i, v := range other[0] {
			sum[i] += v
		}
	}
	for _, other := range slices[1:] {
		copy(other[0], sum)
	}
	return nil
}

func sameLengths(name string, slices [][][]float32) error {
	for rank, parts := range slices {
		for i, part := range parts {
			if want := len(slices[0][i]); len(part) != want {
				return fmt.Errorf("distill: %s got %d values from worker %d, but %d from worker 0", name, len(part), rank, want)
			}
		}
	}
	return nil
}
