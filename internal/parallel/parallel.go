// Package parallel runs work on several goroutines: [Each] over indexes, [Map] over a stream in its order, [Calls] in
// the order in which they end. All are bounded, stop when the context ends, and leave no goroutine behind. [Outcomes]
// checks what a batch gives.
package parallel

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Workers returns how many goroutines Each uses for n items: one a processor, and no more than n.
func Workers(n int) int { return min(n, runtime.GOMAXPROCS(0)) }

// Each calls do for every i of 0..n-1 on Workers(n) goroutines, and returns the error of the lowest i that failed. It
// starts nothing more once the context has ended or a call has failed. worker tells the goroutines apart:
// 0 <= worker < Workers(n).
func Each(ctx context.Context, n int, do func(worker, i int) error) error {
	var (
		next   atomic.Int64
		failed atomic.Bool
		mu     sync.Mutex
		first  error
		firstI = n
		all    errgroup.Group
	)
	for worker := range Workers(n) {
		all.Go(func() error {
			for !failed.Load() && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					break
				}
				if err := do(worker, i); err != nil {
					failed.Store(true)
					mu.Lock()
					if i < firstI {
						first, firstI = err, i
					}
					mu.Unlock()
				}
			}
			return nil
		})
	}
	all.Wait()
	if first != nil {
		return first
	}
	return ctx.Err()
}

// ahead is how many batches a worker are held at most, so that none waits for the slowest.
const ahead = 2

// Map calls do with batches of size items of in, workers of them at a time (0 means one a processor), and yields each
// item with its result, in the order of in, whatever ends first. do returns one result an item. in is read from another
// goroutine, a few batches ahead, and may have any length.
//
// When the context ends, Map reads nothing more and yields what follows in order up to the first batch that has not
// begun: do must return soon then. The caller asks the context why the sequence ended. No goroutine outlives the loop.
func Map[T, R any](
	ctx context.Context, in iter.Seq[T], size, workers int, do func(context.Context, []T) []R,
) iter.Seq2[T, R] {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return func(yield func(T, R) bool) {
		ctx, cancel := context.WithCancel(ctx)
		m := mapping[T, R]{do: do, queue: make(chan *batch[T, R], ahead*workers)}
		m.calls.SetLimit(workers)
		var reader errgroup.Group
		reader.Go(func() error { m.read(ctx, in, size); return nil })
		defer func() {
			cancel()
			reader.Wait()
			m.calls.Wait()
		}()
		for b := range m.queue {
			<-b.done
			for i, result := range b.results {
				if !yield(b.items[i], result) {
					return
				}
			}
			if b.results == nil {
				return
			}
		}
	}
}

type mapping[T, R any] struct {
	do    func(context.Context, []T) []R
	queue chan *batch[T, R] // in the order of the items
	calls errgroup.Group
}

// batch holds items whose results may be read once done is closed; nil where the context ended before.
type batch[T, R any] struct {
	items   []T
	results []R
	done    chan struct{}
}

// read starts the calls.
func (m *mapping[T, R]) read(ctx context.Context, in iter.Seq[T], size int) {
	defer close(m.queue)
	for items := range chunks(in, size) {
		b := &batch[T, R]{items: items, done: make(chan struct{})}
		select {
		case m.queue <- b:
		case <-ctx.Done():
			return
		}
		m.calls.Go(func() error {
			defer close(b.done)
			if ctx.Err() == nil {
				b.results = m.do(ctx, b.items)
			}
			return nil
		})
	}
}

func chunks[T any](in iter.Seq[T], size int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		var chunk []T
		for item := range in {
			if chunk = append(chunk, item); len(chunk) < size {
				continue
			}
			if !yield(chunk) {
				return
			}
			chunk = nil
		}
		if len(chunk) > 0 {
			yield(chunk)
		}
	}
}

// Calls calls do with 0 to n-1, workers at a time, and yields what it returns with its number, in the order in which
// the calls end. A call that the context's end has stopped returns false and is left out. When the loop is left, the
// context of do ends. No goroutine outlives the loop.
func Calls[R any](
	ctx context.Context, n, workers int, do func(ctx context.Context, i int) (R, bool),
) iter.Seq2[int, R] {
	type result struct {
		index int
		value R
	}
	return func(yield func(int, R) bool) {
		ctx, cancel := context.WithCancel(ctx)
		results := make(chan result)
		go func() {
			defer close(results)
			var calls errgroup.Group
			calls.SetLimit(workers)
			for i := 0; i < n && ctx.Err() == nil; i++ {
				calls.Go(func() error {
					if ctx.Err() != nil {
						return nil
					}
					if value, ok := do(ctx, i); ok {
						results <- result{i, value}
					}
					return nil
				})
			}
			calls.Wait()
		}()
		defer func() {
			cancel()
			for range results { // until all goroutines have ended
			}
		}()
		for r := range results {
			if !yield(r.index, r.value) {
				return
			}
		}
	}
}
