package parallel

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/goroutines"
)

func TestCallsAreEachNumberOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50} {
		seen := map[int]int{}
		for i, square := range Calls(t.Context(), n, 4, func(_ context.Context, i int) (int, bool) { return i * i, i != 7 }) {
			require.Equal(t, i*i, square)
			seen[i]++
		}
		want := n
		if n > 7 {
			want--
		}
		require.Len(t, seen, want)
		require.NotContains(t, seen, 7)
	}
}

func TestParallelEndsWithTheLoopAndTheContext(t *testing.T) {
	var running atomic.Int64
	waits := func(ctx context.Context, i int) (int, bool) {
		running.Add(1)
		defer running.Add(-1)
		if i > 2 {
			<-ctx.Done()
		}
		return i, ctx.Err() == nil
	}
	for range Calls(t.Context(), 100, 8, waits) {
		break
	}
	require.Zero(t, running.Load())

	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for range Calls(ctx, 100, 8, waits) {
		if n++; n == 3 {
			cancel()
		}
	}
	require.Equal(t, 3, n)
	require.Zero(t, running.Load())
	cancel()
	for range Calls(ctx, 100, 8, waits) {
		n++
	}
	require.Equal(t, 3, n)
}

func TestEachReturnsTheErrorOfTheLowestIndex(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		var calls atomic.Int64
		seen := make([]atomic.Bool, n)
		require.NoError(t, Each(t.Context(), n, func(worker, i int) error {
			require.Less(t, worker, Workers(n))
			require.False(t, seen[i].Swap(true))
			calls.Add(1)
			return nil
		}))
		require.EqualValues(t, n, calls.Load())
	}
	for range 50 {
		err := Each(t.Context(), 1000, func(_, i int) error {
			if i >= 5 {
				return fmt.Errorf("item %d", i)
			}
			return nil
		})
		require.EqualError(t, err, "item 5")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	err := Each(ctx, 1000, func(_, i int) error {
		if calls.Add(1) >= 10 {
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.LessOrEqual(t, calls.Load(), int64(9+Workers(1000)), "a call started after the end of the context")
}

func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}

func TestMapKeepsTheOrderWhateverEndsFirst(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, size := range []int{1, 3, 100} {
		for _, workers := range []int{0, 1, 4} {
			var running, most atomic.Int64
			do := func(_ context.Context, items []int) []string {
				require.LessOrEqual(t, len(items), size)
				if now := running.Add(1); now > most.Load() {
					most.Store(now)
				}
				defer running.Add(-1)
				time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
				results := make([]string, len(items))
				for i, n := range items {
					results[i] = fmt.Sprint(n)
				}
				return results
			}
			next := 0
			for item, result := range Map(t.Context(), numbers(50), size, workers, do) {
				require.Equal(t, next, item)
				require.Equal(t, fmt.Sprint(next), result)
				next++
			}
			require.Equal(t, 50, next)
			require.LessOrEqual(t, most.Load(), int64(cmp.Or(workers, runtime.GOMAXPROCS(0))))
		}
	}
	goroutines.RequireNoMore(t, before, 5*time.Second)
}

func TestMapReadsNoFurtherAheadThanItsQueue(t *testing.T) {
	const workers = 2
	read := 0
	in := func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
			read = i + 1
		}
	}
	release := make(chan struct{})
	first := func(ctx context.Context, items []int) []int {
		if items[0] == 0 {
			select { // all others wait for the first
			case <-release:
			case <-ctx.Done():
			}
		}
		return items
	}
	go func() {
		time.Sleep(20 * time.Millisecond)
		close(release)
	}()
	for range Map(t.Context(), in, 1, workers, first) {
		break
	}
	require.LessOrEqual(t, read, (ahead+2)*workers)
}

func TestMapEndsWithTheLoopAndTheContext(t *testing.T) {
	before := runtime.NumGoroutine()
	waits := func(ctx context.Context, items []int) []int {
		if items[0] > 2 {
			<-ctx.Done()
		}
		return items
	}
	for range Map(t.Context(), numbers(100), 1, 4, waits) {
		break
	}
	goroutines.RequireNoMore(t, before, 5*time.Second)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []int
	for n := range Map(ctx, numbers(100), 1, 4, waits) {
		if got = append(got, n); n == 2 {
			cancel()
		}
	}
	require.Equal(t, numbersUpTo(len(got)), got, "in order, with nothing left out")
	require.Less(t, len(got), 100)
	for range Map(ctx, numbers(100), 1, 4, waits) {
		t.Fatal("a call after the context's end")
	}
	goroutines.RequireNoMore(t, before, 5*time.Second)
}

func numbersUpTo(n int) []int { return slices.Collect(numbers(n)) }

func TestABatchHasOneOutcomeAnItem(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name              string
		ctx               context.Context
		got               []int
		outcomes, collect []string
	}{
		{"in any order", t.Context(), []int{2, 0, 1}, []string{"0", "1", "2"}, []string{"0", "1", "2"}},
		{
			"one left out", t.Context(),
			[]int{2, 0},
			[]string{"0", "it did not answer this item of a batch", "2"},
			[]string{"0", "it did not answer this item of a batch", "2"},
		},
		{
			"the context has ended", ended,
			[]int{2},
			[]string{"context canceled", "context canceled", "2"},
			[]string{"context canceled", "context canceled", "2"},
		},
		{
			"one twice", t.Context(),
			[]int{1, 1, 0, 2},
			[]string{"it answered item 1 of a batch twice", "1", "it answered item 1 of a batch twice"},
			slices.Repeat([]string{"it answered item 1 of a batch twice"}, 3),
		},
		{
			"one more", t.Context(),
			[]int{0, 1, 2, 3},
			[]string{"0", "1", "2"},
			slices.Repeat([]string{"it answered item 3 of a batch of 3"}, 3),
		},
		{
			"below 0", t.Context(),
			[]int{0, -1, 2},
			[]string{"0", "it answered item -1 of a batch of 3", "it answered item -1 of a batch of 3"},
			slices.Repeat([]string{"it answered item -1 of a batch of 3"}, 3),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := func(yield func(int, string) bool) {
				for _, i := range c.got {
					if !yield(i, fmt.Sprint(i)) {
						return
					}
				}
			}
			all := make([]string, 3)
			for i, outcome := range Outcomes(c.ctx, 3, "it", got, error.Error) {
				require.Empty(t, all[i])
				all[i] = outcome
			}
			require.Equal(t, c.outcomes, all)
			require.Equal(t, c.collect, Collect(c.ctx, 3, "it", got, error.Error))
		})
	}
}
