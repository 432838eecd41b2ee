package torch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/retort-ir/retort/internal/device"
	"github.com/retort-ir/retort/internal/nolibtorch"
	"github.com/retort-ir/retort/internal/torch/raw"
)

// Options configure a Runtime. The zero value is the CPU with as many threads as the process may use.
type Options struct {
	// Threads is how many threads one operation may use; 0 means GOMAXPROCS.
	Threads int
	// Device is "cpu", which "" means too, "cuda" or "cuda:N".
	Device string
}

// Runtime runs work on one OS thread of its own, since LibTorch keeps its last error, its gradient mode and its pool of
// threads by thread. It is safe for concurrent use: calls of Run queue up.
type Runtime struct {
	device  int
	threads int // of an operation on the CPU; 0: it computes on a GPU
	jobs    chan func()
	quit    chan struct{}
	ended   chan struct{}
	close   sync.Once
	live    atomic.Int64
	// spent says that oneDNN got no memory for a kernel. It remembers so by thread, and makes no kernel on the thread
	// any more: another takes its place. Only the runtime's thread looks at it.
	spent bool
}

// Open starts a runtime. Close must be called once it is no longer needed.
func Open(o Options) (*Runtime, error) {
	if !raw.Available {
		return nil, nolibtorch.Err
	}
	if o.Threads < 0 {
		return nil, fmt.Errorf("torch: Threads is %d", o.Threads)
	}
	number, err := device.Parse(o.Device)
	if err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
	if number != device.CPU {
		if n := raw.CUDADevices(); number >= n {
			return nil, fmt.Errorf("torch: there is no device %s, since LibTorch sees %d CUDA devices: is it a CUDA build, and is "+
				"there a driver?", o.Device, n)
		}
	}
	threads := o.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	onHost := threads
	if number != device.CPU {
		onHost = 0
	}
	rt := &Runtime{
		device: number, threads: onHost, jobs: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	go rt.loop(threads)
	return rt, nil
}

func (rt *Runtime) loop(threads int) {
	// Never unlocked: the thread ends with the goroutine, and LibTorch's state of it too.
	runtime.LockOSThread()
	// LibTorch gives a thread, when it first asks, the number that was last set on any thread. Asked before, it keeps
	// ours.
	raw.NumThreads()
	raw.SetNumThreads(threads)
	for {
		select {
		case job := <-rt.jobs:
			job()
			if rt.spent {
				rt.spent = false
				go rt.loop(threads)
				return
			}
		case <-rt.quit:
			close(rt.ended)
			return
		}
	}
}

// Run calls f on the runtime's thread and frees the tensors of its scope when f returns. It returns f's error, or else
// the scope's. Before it starts, the end of ctx stops it; f itself must look at ctx where it is long.
func (rt *Runtime) Run(ctx context.Context, f func(*Scope) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	result := make(chan error, 1)
	job := func() { result <- rt.run(f) }
	select {
	case rt.jobs <- job:
		return <-result
	case <-ctx.Done():
		return ctx.Err()
	case <-rt.ended:
		return ErrClosed
	}
}

func (rt *Runtime) run(f func(*Scope) error) (err error) {
	s := &Scope{rt: rt}
	defer s.free()
	// A panic on this goroutine would end the program with no chance for the caller to recover.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("torch: internal error: %v", p)
		}
	}()
	err = f(s)
	if err == nil {
		err = s.err
	}
	rt.spent = errors.Is(err, errKernel)
	return err
}

// Close ends the runtime's thread once the work in hand is done; Run then returns ErrClosed. Tensors that were kept
// must have been freed before. Closing twice is harmless.
func (rt *Runtime) Close() error {
	rt.close.Do(func() { close(rt.quit) })
	<-rt.ended
	return nil
}

// OnCPU says whether the runtime computes on the CPU.
func (rt *Runtime) OnCPU() bool { return rt.threads > 0 }

// Live returns how many tensor handles are alive.
func (rt *Runtime) Live() int64 { return rt.live.Load() }

// ErrClosed says that a runtime was closed.
var ErrClosed = errors.New("torch: the runtime is closed")
