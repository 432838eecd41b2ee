package mine

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls do for every i of 0..n-1, on as many goroutines as there are processors, and returns the error of the
// lowest i that failed. It starts nothing more once the context has ended or a call has failed. worker tells the
// goroutines apart, 0 <= worker < workers(n).
func parallel(ctx context.Context, n int, do func(worker, i int) error) error {
	var (
		next   atomic.Int64
		failed atomic.Bool
		wg     sync.WaitGroup
		mu     sync.Mutex
		first  error
		firstI = n
	)
	for worker := range workers(n) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !failed.Load() && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
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
		}()
	}
	wg.Wait()
	if first != nil {
		return first
	}
	return ctx.Err()
}

func workers(n int) int { return min(n, runtime.GOMAXPROCS(0)) }
