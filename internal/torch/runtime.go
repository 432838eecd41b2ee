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

// Available says whether the program was built with LibTorch.
const Available = raw.Available

// Options configure a Runtime. The zero value is the CPU with as many threads as the process may use.
type Options struct {
	// Threads is how many threads one operation may use; 0 means GOMAXPROCS.
	Threads int
	// Device is "cpu" (or ""), "cuda" or "cuda:N".
	Device string
}

// Runtime runs work on its own OS thread, since LibTorch keeps the last error, the gradient mode and the pool of
// threads per thread. It is safe for concurrent use: calls of Run queue up.
type Runtime struct {
	device  int
	threads int // of an operation on the CPU; 0: it computes on a GPU
	jobs    chan func()
	quit    chan struct{}
	ended   chan struct{}
	close   sync.Once
	live    atomic.Int64
	// spent says that oneDNN got no memory for a kernel. oneDNN then makes no more kernels on the same thread, so that
	// the runtime needs a new thread. Only the runtime's thread uses spent.
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
			return nil, fmt.Errorf("torch: device %s does not exist, LibTorch finds %d CUDA devices: "+
				"check that LibTorch is a CUDA build and that the driver is installed", o.Device, n)
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
	// Never unlocked: the thread, and LibTorch's state of it, end with the goroutine.
	runtime.LockOSThread()
	// The first query on a thread resets the number to the last one set on any thread; query before setting ours.
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

// Run calls f on the runtime's thread and frees the tensors of f's scope afterwards. It returns the error of f, or
// else of the scope. The end of ctx stops Run before f starts; a long f must check ctx itself.
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
	// The caller could not recover a panic on this goroutine.
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

// Close ends the runtime's thread after the current call of Run; later calls return ErrClosed. Free kept tensors
// before. Closing twice is harmless.
func (rt *Runtime) Close() error {
	rt.close.Do(func() { close(rt.quit) })
	<-rt.ended
	return nil
}

// OnCPU says whether the runtime computes on the CPU.
func (rt *Runtime) OnCPU() bool { return rt.threads > 0 }

// Live returns how many tensor handles are alive.
func (rt *Runtime) Live() int64 { return rt.live.Load() }

// ErrClosed says that a runtime is closed.
var ErrClosed = errors.New("torch: the runtime is closed")
