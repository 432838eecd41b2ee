package httpretry

import (
	"context"
	"iter"
	"sync"
)

// Parallel calls do with 0 to n-1, workers at a time, and yields what it returns under its number, in the order in which the
// calls end. A call that the context's end has stopped returns false and is left out. When the loop is left the context of do
// ends. No goroutine outlives the loop.
func Parallel[T any](ctx context.Context, n, workers int, do func(ctx context.Context, i int) (T, bool)) iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		ctx, cancel := context.WithCancel(ctx)
		results := start(ctx, n, workers, do)
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

type result[T any] struct {
	index int
	value T
}

// start closes the channel once all calls have ended.
func start[T any](ctx context.Context, n, workers int, do func(ctx context.Context, i int) (T, bool)) <-chan result[T] {
	queue, results := make(chan int), make(chan result[T])
	var wg sync.WaitGroup
	for range min(n, workers) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range queue {
				if value, ok := do(ctx, i); ok {
					results <- result[T]{i, value}
				}
			}
		}()
	}
	go func() {
		defer close(results)
		defer wg.Wait()
		defer close(queue)
		for i := range n {
			select {
			case queue <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	return results
}
