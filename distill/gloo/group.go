package gloo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/internal/torch"
)

// defaultTimeout is the default of c10d.
const defaultTimeout = 30 * time.Minute

// Group is one process of a group. It belongs to one goroutine.
type Group struct {
	options Options
	gloo    *torch.Gloo
	broken  bool // an operation has failed, so Close must not wait for the other workers
}

// Connect waits until all workers have connected. Without LibTorch it returns retort.ErrNoLibTorch.
func Connect(ctx context.Context, o Options) (*Group, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type connected struct {
		gloo *torch.Gloo
		err  error
	}
	done := make(chan connected, 1)
	go func() {
		gloo, err := torch.ConnectGloo(torch.GlooOptions{
			Host: o.Host, Port: o.Port, Serve: o.Rank == 0 && !o.Served, Prefix: fmt.Sprintf("retort/%d", o.Attempt),
			Rank: o.Rank, Size: o.Size, Timeout: o.Timeout,
		})
		done <- connected{gloo, err}
	}()
	select {
	case c := <-done:
		if c.err != nil {
			return nil, fmt.Errorf("gloo: worker %d of %d cannot find the other workers at %s:%d: %w", o.Rank, o.Size, o.Host,
				o.Port, short(c.err))
		}
		return &Group{options: o, gloo: c.gloo}, nil
	case <-ctx.Done():
		go func() { // until the timeout
			if c := <-done; c.err == nil {
				_ = c.gloo.Free()
			}
		}()
		return nil, ctx.Err()
	}
}

// Rank implements distill.Group.
func (g *Group) Rank() int { return g.options.Rank }

// Size implements distill.Group.
func (g *Group) Size() int { return g.options.Size }

// AllReduce implements distill.Group.
func (g *Group) AllReduce(ctx context.Context, values []float32) error {
	if len(values) == 0 {
		return ctx.Err()
	}
	begin := func() (*torch.GlooOperation, error) { return g.gloo.AllReduce(values) }
	return g.do(ctx, "AllReduce", begin, func(op *torch.GlooOperation) { op.Read(0, values) })
}

// AllGather implements distill.Group.
func (g *Group) AllGather(ctx context.Context, parts [][]float32) error {
	if len(parts) != g.Size() {
		return fmt.Errorf("gloo: AllGather got %d parts for %d workers", len(parts), g.Size())
	}
	longest, filled, last := 0, 0, 0
	for r, part := range parts {
		longest = max(longest, len(part))
		if len(part) > 0 {
			filled, last = filled+1, r
		}
	}
	switch filled {
	case 0:
		return ctx.Err()
	case 1: // Gloo gathers equal amounts from all workers
		begin := func() (*torch.GlooOperation, error) { return g.gloo.Broadcast(parts[last], last) }
		return g.do(ctx, "AllGather", begin, func(op *torch.GlooOperation) { op.Read(0, parts[last]) })
	}
	begin := func() (*torch.GlooOperation, error) { return g.gloo.AllGather(parts[g.Rank()], longest) }
	return g.do(ctx, "AllGather", begin, func(op *torch.GlooOperation) {
		for r, part := range parts {
			if r != g.Rank() {
				op.Read(r*longest, part)
			}
		}
	})
}

// do runs an operation in its own goroutine. If ctx ends, the goroutine continues until the timeout; the operation
// works on copies, so the caller's slices are free.
func (g *Group) do(ctx context.Context, name string, begin func() (*torch.GlooOperation, error),
	read func(*torch.GlooOperation),
) error {
	if err := ctx.Err(); err != nil {
		g.broken = true
		return err
	}
	op, err := begin()
	if err != nil {
		g.broken = true
		return fmt.Errorf("gloo: %s: %w", name, short(err))
	}
	ended := make(chan error, 1)
	go func() { ended <- op.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			read(op)
		}
		if err := errors.Join(err, op.Free()); err != nil {
			g.broken = true
			return fmt.Errorf("gloo: %s: %w", name, short(err))
		}
		return nil
	case <-ctx.Done():
		g.broken = true
		go func() {
			<-ended
			_ = op.Free()
		}()
		return ctx.Err()
	}
}

// farewell is the longest time that Close waits for the other workers.
const farewell = 2 * time.Second

// Close ends the group. It first waits briefly until the other workers call Close too, so that they do not mistake the
// end of this worker for a failure.
func (g *Group) Close() error {
	if !g.broken && g.Size() > 1 {
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		if g.AllReduce(ctx, make([]float32, 1)) != nil { // they have ended, or are in another operation
			return errors.Join(g.gloo.Disconnect(), g.gloo.Free())
		}
	}
	return g.gloo.Free()
}

// Abort implements distill.Aborter: the operations of the other workers fail.
func (g *Group) Abort() error {
	g.broken = true
	return errors.Join(g.gloo.Disconnect(), g.gloo.Free())
}

// longestMessage is the length to which long messages of Gloo are cut.
const longestMessage = 300

func short(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) <= longestMessage {
		return &message{text, err}
	}
	return &message{strings.ToValidUTF8(text[:longestMessage], "") + "...", err}
}

type message struct {
	text string
	err  error
}

func (m *message) Error() string { return m.text }
func (m *message) Unwrap() error { return m.err }

var _ interface {
	distill.Group
	distill.Aborter
} = (*Group)(nil)
