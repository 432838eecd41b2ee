package transformer

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/torch"
)

// The sizes of micro-batches in tokens, padding included.
const (
	// oneThreadTokens is the largest call that one thread computes although others are idle: more threads would mostly
	// wait for each other.
	oneThreadTokens = 32
	// laneTokens is the largest micro-batch of one thread when all threads are busy. Larger ones are no faster per
	// token and delay the next call.
	laneTokens = 512
	// joinPadding is the largest padding, in tokens, that joining a call may cost: about the cost of reading the
	// weights once more.
	joinPadding = 16
)

// shared computes small calls of Encode. On a CPU it has as many lanes as the model has threads. A lane is a runtime of
// one thread, so that no operation waits for a second thread. A call that finds a lane free begins at once. Calls that
// wait are joined: a lane that becomes free takes its share of them as one micro-batch.
type shared struct {
	m      *Model
	lanes  int // largest number of lanes
	tokens int // largest micro-batch
	ended  sync.WaitGroup

	mu        sync.Mutex
	waiting   []*call          // in order of arrival
	computing int              // calls that lanes have taken
	opened    int              // lanes
	idle      []*torch.Runtime // the opened lanes without work
	busy      int              // lanes at work, and calls that all threads compute
	closed    bool
}

// call is one call of Encode. Only the lane that took it writes to out.
type call struct {
	ctx   context.Context
	in    *inputs
	width int  // tokens of its longest text
	alone bool // must not be joined
	out   blas32.General
	done  chan error
}

func newShared(m *Model, threads int) *shared {
	// A GPU has one queue, and the casts of bf16 weights belong to one thread: the model's own runtime is the only lane.
	if !m.rt.OnCPU() || m.precision != torch.Float32 {
		return &shared{m: m, lanes: 1, opened: 1, tokens: m.budget, idle: []*torch.Runtime{m.rt}}
	}
	return &shared{m: m, lanes: threads, tokens: min(m.budget, laneTokens)}
}

// encode computes a call. It uses whole if the call is too large to share a lane, or if all threads are idle and the
// call has work for all of them.
func (s *shared) encode(ctx context.Context, in *inputs, whole func() (blas32.General, error)) (blas32.General, error) {
	c := &call{ctx: ctx, in: in, alone: encoder.IsAlone(ctx), done: make(chan error, 1)}
	for i := range in.Len() {
		c.width = max(c.width, in.Tokens(i))
	}
	waits, err := s.enter(c)
	if err != nil {
		return blas32.General{}, err
	}
	if !waits {
		defer s.release()
		return whole()
	}
	select {
	case err := <-c.done:
		return c.out, err
	case <-ctx.Done():
		return blas32.General{}, ctx.Err() // take drops the call
	}
}

// enter gives the call to a lane or queues it; waits is then true. Otherwise the caller computes the call itself and
// must call release.
func (s *shared) enter(c *call) (waits bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, torch.ErrClosed
	}
	if n := c.tokens(); n > s.tokens || n > oneThreadTokens && (c.alone || s.busy == 0) {
		s.busy++
		return false, nil
	}
	if len(s.idle) == 0 && s.opened < s.lanes {
		rt, err := torch.Open(torch.Options{Threads: 1})
		if err != nil {
			return false, err
		}
		s.opened++
		s.idle = append(s.idle, rt)
	}
	s.waiting = append(s.waiting, c)
	if n := len(s.idle); n > 0 {
		rt := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.busy++
		s.ended.Add(1)
		go s.work(rt)
	}
	return true, nil
}

func (s *shared) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
}

// work computes waiting calls until none is left.
func (s *shared) work(lane *torch.Runtime) {
	defer s.ended.Done()
	for {
		calls := s.take(lane)
		if len(calls) == 0 {
			return
		}
		err := s.compute(lane, calls)
		for _, c := range calls {
			if err != nil && len(calls) > 1 {
				c.done <- s.compute(lane, []*call{c}) // a call that fails must not fail the other calls
			} else {
				c.done <- err
			}
		}
		s.computed(len(calls))
		// Callers that have just received an answer may call again at once. Yielding lets these calls join the queue,
		// which keeps batches large.
		runtime.Gosched()
	}
}

func (s *shared) computed(calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.computing -= calls
}

// take returns a lane's share of the waiting calls: the first call and the calls that may be joined to it. If no call
// waits, it marks the lane as idle.
func (s *shared) take(lane *torch.Runtime) []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(c *call) bool { return c.ctx.Err() != nil })
	if len(s.waiting) == 0 {
		s.busy--
		s.idle = append(s.idle, lane)
		return nil
	}
	share := (len(s.waiting) + s.computing + s.lanes - 1) / s.lanes
	taken := joined(s.waiting, share, s.tokens)
	s.computing += len(taken)
	s.waiting = slices.DeleteFunc(s.waiting, func(c *call) bool { return slices.Contains(taken, c) })
	return taken
}

// joined returns the first call and up to share-1 later calls that fit into one micro-batch with it.
func joined(waiting []*call, share, tokens int) []*call {
	first := waiting[0]
	taken := []*call{first}
	rows, width, apart := first.in.Len(), first.width, first.tokens()
	for _, c := range waiting[1:] {
		if len(taken) == share || first.alone {
			break
		}
		r, w, a := rows+c.in.Len(), max(width, c.width), apart+c.tokens()
		if c.alone || c.in.role != first.in.role || r*w > tokens || r*w-a > joinPadding*len(taken) {
			continue
		}
		taken = append(taken, c)
		rows, width, apart = r, w, a
	}
	return taken
}

func (s *shared) compute(lane *torch.Runtime, calls []*call) error {
	var texts [][]int32
	for _, c := range calls {
		for i := range c.in.Len() {
			texts = append(texts, c.in.ids(i))
		}
	}
	values, err := s.m.encodeTexts(context.Background(), lane, calls[0].in.role, texts)
	if err != nil {
		return err
	}
	for _, c := range calls {
		c.out = matrix.New(c.in.Len(), s.m.Dim())
		values = values[copy(c.out.Data, values):]
	}
	return nil
}

// close fails the waiting calls and waits for the calls in progress.
func (s *shared) close() error {
	s.mu.Lock()
	s.closed = true
	for _, c := range s.waiting {
		c.done <- torch.ErrClosed
	}
	s.waiting = nil
	s.mu.Unlock()
	s.ended.Wait()
	var err error
	for _, lane := range s.idle {
		if lane != s.m.rt {
			err = errors.Join(err, lane.Close())
		}
	}
	return err
}

// tokens returns the size of the call as its own micro-batch, padding included.
func (c *call) tokens() int { return c.in.Len() * c.width }
