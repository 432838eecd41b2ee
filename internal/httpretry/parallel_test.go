package httpretry

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParallelCallsEachNumberOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50} {
		seen := map[int]int{}
		for i, square := range Parallel(t.Context(), n, 4, func(_ context.Context, i int) (int, bool) { return i * i, i != 7 }) {
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
	for range Parallel(t.Context(), 100, 8, waits) {
		break
	}
	require.Zero(t, running.Load())

	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for range Parallel(ctx, 100, 8, waits) {
		if n++; n == 3 {
			cancel()
		}
	}
	require.Equal(t, 3, n)
	require.Zero(t, running.Load())
	cancel()
	for range Parallel(ctx, 100, 8, waits) {
		n++
	}
	require.Equal(t, 3, n)
}
