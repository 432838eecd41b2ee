//go:build libtorch

package gloo

import (
	"context"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/goroutines"
)

// freePort is one that nobody listens at by now.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// asGroup connects n workers of this process and calls f for each at the same time.
func asGroup(t testing.TB, n int, timeout time.Duration, f func(g *Group) error) []error {
	t.Helper()
	port := freePort(t)
	var wg sync.WaitGroup
	errs := make([]error, n)
	for r := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var g *Group
			g, errs[r] = Connect(context.Background(),
				Options{Host: "127.0.0.1", Port: port, Rank: r, Size: n, Timeout: timeout})
			if errs[r] == nil {
				errs[r] = f(g)
				if err := g.Close(); errs[r] == nil {
					errs[r] = err
				}
			}
		}()
	}
	wg.Wait()
	return errs
}

func TestAGroupGathersAndAddsUp(t *testing.T) {
	before := runtime.NumGoroutine()
	quietNaN, signallingNaN := math.Float32frombits(0x7fc00123), math.Float32frombits(0xff800001)
	for _, n := range []int{1, 2, 3} {
		errs := asGroup(t, n, 20*time.Second, func(g *Group) error {
			for round := range 20 {
				parts := make([][]float32, n)
				for r := range parts {
					parts[r] = make([]float32, 1000*r*(round%3)) // worker 0 has nothing to give, and sometimes nobody has
				}
				if round%4 == 3 { // a broadcast
					clear(parts)
					parts[n-1] = make([]float32, 4321)
				}
				for i := range parts[g.Rank()] {
					parts[g.Rank()][i] = []float32{float32(g.Rank()), quietNaN, signallingNaN}[i%3]
				}
				if err := g.AllGather(context.Background(), parts); err != nil {
					return err
				}
				for r, part := range parts {
					for i, v := range part {
						want := []float32{float32(r), quietNaN, signallingNaN}[i%3]
						if math.Float32bits(v) != math.Float32bits(want) {
							return fmt.Errorf("round %d: part %d holds %v at %d", round, r, v, i)
						}
					}
				}
				values := make([]float32, 5000*(round%2)+3)
				values[2] = float32(g.Rank() + round)
				if err := g.AllReduce(context.Background(), values); err != nil {
					return err
				}
				if want := float32(n*(n-1)/2 + n*round); values[2] != want || values[0] != 0 {
					return fmt.Errorf("round %d: a sum of %v, want %v", round, values[2], want)
				}
			}
			return nil
		})
		for r, err := range errs {
			require.NoError(t, err, "worker %d of %d", r, n)
		}
	}
	goroutines.RequireNoMore(t, before, time.Second)
}

func TestAGroupNeverHangs(t *testing.T) {
	wait := func(g *Group) error { return g.AllReduce(context.Background(), make([]float32, 4)) }
	t.Run("a worker that aborts is noticed at once", func(t *testing.T) {
		errs := asGroup(t, 2, 20*time.Second, func(g *Group) error {
			if g.Rank() == 1 {
				time.Sleep(50 * time.Millisecond)
				return g.Abort()
			}
			start := time.Now()
			err := wait(g)
			if took := time.Since(start); took > 5*time.Second {
				return fmt.Errorf("after %v: %w", took, err)
			}
			return err
		})
		require.ErrorContains(t, errs[0], "gloo: AllReduce: ")
		require.NotContains(t, errs[0].Error(), "after")
		require.NoError(t, errs[1])
	})
	t.Run("a context that ends", func(t *testing.T) {
		errs := asGroup(t, 2, 2*time.Second, func(g *Group) error {
			if g.Rank() == 1 {
				time.Sleep(time.Second)
				return g.Abort()
			}
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := g.AllReduce(ctx, make([]float32, 4))
			if took := time.Since(start); took > 500*time.Millisecond {
				return fmt.Errorf("after %v: %w", took, err)
			}
			return err
		})
		require.Equal(t, context.DeadlineExceeded, errs[0])
	})
	t.Run("a worker that is silent", func(t *testing.T) {
		release := make(chan struct{})
		errs := asGroup(t, 2, time.Second, func(g *Group) error {
			if g.Rank() == 1 {
				<-release
				return g.Abort()
			}
			defer close(release)
			return wait(g)
		})
		require.ErrorContains(t, errs[0], "gloo: AllReduce: ")
		require.ErrorContains(t, errs[0], "1000ms")
	})
	t.Run("nobody comes", func(t *testing.T) {
		options := Options{Host: "127.0.0.1", Port: freePort(t), Rank: 0, Size: 2, Timeout: time.Second}
		start := time.Now()
		_, err := Connect(context.Background(), options)
		require.ErrorContains(t, err,
			fmt.Sprintf("gloo: worker 0 of 2 cannot find the other workers at 127.0.0.1:%d: ", options.Port))
		require.Less(t, time.Since(start), 10*time.Second)

		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		options.Rank, options.Port = 1, freePort(t)
		start = time.Now()
		_, err = Connect(ctx, options)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Less(t, time.Since(start), time.Second)
	})
}
