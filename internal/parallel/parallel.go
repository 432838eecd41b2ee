// Package parallel runs work on several goroutines: [Each] over indexes, [Map] over a stream in order, [Calls] in the
// order in which the calls end. All bound their goroutines, stop when the context ends, and leave no goroutine behind.
// [Outcomes] checks the answers to a batch.
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
// starts no call once the context has ended or a call has failed. worker is the number of the goroutine:
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

// ahead is the most batches per worker in the queue: enough that no worker waits for the slowest.
const ahead = 2

// Map calls do with batches of size items of in on workers goroutines (0 means one a processor), and yields each item
// with its result, in the order of in. do returns one result an item. Map reads in from another goroutine, a few
// batches ahead; in may have any length.
//
// When the context ends, Map stops reading and yields the results up to the first batch that has not begun: do must
// then return soon. The caller asks the context why the sequence ended. No goroutine outlives the loop.
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

// batch holds items and, once done is closed, their results; nil if the context ended before.
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

// Calls calls do with 0 to n-1, workers at a time, and yields the number and result of each call, in the order in
// which the calls end. do returns false if the end of the context stopped it, and Calls omits the result. Leaving the
// loop ends the context of do. No goroutine outlives the loop.
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
