//go:build libtorch

package transformer

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/torch"
)

// queries are n texts of 4 to about 20 tokens.
func queries(n int) []string {
	words := strings.Fields("how do i close a file that another process reads while the server shuts down gracefully")
	texts := make([]string, n)
	for i := range texts {
		texts[i] = strings.Join(words[:2+i%(len(words)-1)], " ") + fmt.Sprint(" ", i)
	}
	return texts
}

// encodeAlone is the reference of the tests below.
func encodeAlone(t *testing.T, m *Model, role encoder.Role, text string) []float32 {
	t.Helper()
	rows, err := m.Encode(encoder.Alone(t.Context()), role, []string{text})
	require.NoError(t, err)
	return rows.Data
}

func TestCallsThatWaitAreComputedTogetherAndAreTheSame(t *testing.T) {
	m := openModel(t, "testdata/tiny", Options{Threads: 2})
	texts := queries(40)
	got := make([]blas32.General, len(texts))
	roles := []encoder.Role{encoder.Query, encoder.Passage}
	whileBusy(t, m, func(wg *group) {
		for i, text := range texts {
			wg.Go(func() {
				var err error
				got[i], err = m.Encode(t.Context(), roles[i%2], []string{text})
				require.NoError(t, err)
			})
		}
		waitFor(t, m, len(texts))
	})
	for i, text := range texts {
		require.InDeltaSlice(t, encodeAlone(t, m, roles[i%2], text), got[i].Data, 1e-6, text)
	}
	require.LessOrEqual(t, m.shared.opened, 2)
	requireIdle(t, m)
}

// Whoever stores vectors gets the same bits, whatever else the model does.
func TestACallThatIsToBeAloneKeepsItsBits(t *testing.T) {
	m := openModel(t, "testdata/tiny", Options{Threads: 2})
	texts := queries(12)
	for _, batch := range [][]string{texts[:1], texts[10:], texts, slices.Repeat(texts, 5)} {
		want, err := m.Encode(encoder.Alone(t.Context()), encoder.Query, batch)
		require.NoError(t, err)
		lone, err := m.Encode(t.Context(), encoder.Query, batch)
		require.NoError(t, err)
		require.Equal(t, want, lone, "a call without neighbours is computed as one that is to be alone")

		ctx, stop := context.WithCancel(t.Context())
		var noise group
		for i := range 8 {
			noise.Go(func() {
				for n := i; ctx.Err() == nil; n++ {
					_, err := m.Encode(t.Context(), encoder.Query, texts[n%12:n%12+1])
					require.NoError(t, err)
				}
			})
		}
		for range 5 {
			got, err := m.Encode(encoder.Alone(t.Context()), encoder.Query, batch)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		stop()
		noise.Wait()
	}
}

func TestACancelledCallReturnsAtOnceAndDisturbsNobody(t *testing.T) {
	m := openModel(t, "testdata/tiny", Options{Threads: 2})
	texts := queries(10)
	var want [][]float32
	for _, text := range texts {
		want = append(want, encodeAlone(t, m, encoder.Query, text))
	}
	whileBusy(t, m, func(wg *group) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, len(texts))
		for _, text := range texts {
			go func() {
				_, err := m.Encode(ctx, encoder.Query, []string{text})
				ended <- err
			}()
		}
		waitFor(t, m, len(texts))
		for i, text := range texts {
			wg.Go(func() {
				got, err := m.Encode(t.Context(), encoder.Query, []string{text})
				require.NoError(t, err)
				require.InDeltaSlice(t, want[i], got.Data, 1e-6)
			})
		}
		waitFor(t, m, 2*len(texts))
		cancel()
		for range texts {
			select {
			case err := <-ended:
				require.ErrorIs(t, err, context.Canceled)
			case <-time.After(5 * time.Second):
				require.FailNow(t, "a cancelled call waits for the model")
			}
		}
	})
	requireIdle(t, m)
}

func TestACallThatFailsDoesNotFailItsNeighbours(t *testing.T) {
	m := openModel(t, "testdata/tiny", Options{Threads: 1})
	texts := queries(6)
	var good []error
	var bad error
	var mu sync.Mutex
	whileBusy(t, m, func(wg *group) {
		for _, text := range texts {
			wg.Go(func() {
				_, err := m.Encode(t.Context(), encoder.Query, []string{text})
				mu.Lock()
				defer mu.Unlock()
				good = append(good, err)
			})
		}
		wg.Go(func() {
			in := newInputs(encoder.Query, m.side(encoder.Query), make([]string, 1))
			in.texts[0].once.Do(func() { in.texts[0].ids = []int32{1 << 20} }) // LibTorch refuses an id that the model lacks
			_, bad = m.shared.encode(t.Context(), in, nil)
		})
		waitFor(t, m, len(texts)+1)
	})
	require.ErrorContains(t, bad, "index out of range")
	require.Len(t, good, len(texts))
	for _, err := range good {
		require.NoError(t, err)
	}
}

func TestCloseEndsTheCallsThatWait(t *testing.T) {
	m, err := Open(t.Context(), "testdata/tiny", Options{Threads: 2})
	require.NoError(t, err)
	ended := make(chan error, 20)
	closed := make(chan error)
	whileBusy(t, m, func(*group) {
		for _, text := range queries(20) {
			go func() {
				_, err := m.Encode(context.Background(), encoder.Query, []string{text})
				ended <- err
			}()
		}
		waitFor(t, m, 20)
		go func() { closed <- m.Close() }()
		for range 20 {
			require.ErrorIs(t, <-ended, torch.ErrClosed)
		}
	})
	require.NoError(t, <-closed)
	_, err = m.Encode(t.Context(), encoder.Query, []string{"text"})
	require.ErrorIs(t, err, torch.ErrClosed)
	require.Zero(t, m.rt.Live())
}

func TestCallsBesideTrainingSeeWholeWeights(t *testing.T) {
	g := readModelGolden(t, "tiny")
	m := openModel(t, "testdata/tiny", Options{Threads: 2})
	ctx, stop := context.WithCancel(t.Context())
	var callers group
	for _, text := range queries(6) {
		callers.Go(func() {
			for ctx.Err() == nil {
				rows, err := m.Encode(t.Context(), encoder.Passage, []string{text})
				require.NoError(t, err)
				require.InDelta(t, 1, blas32.Nrm2(blas32.Vector{N: rows.Cols, Inc: 1, Data: rows.Data}), 1e-5)
			}
		})
	}
	for range 3 {
		train(t, m, g)
	}
	require.NoError(t, m.SplitTowers())
	for range 3 {
		train(t, m, g)
	}
	stop()
	callers.Wait()
}

// whileBusy calls f while all lanes are at work, so that calls wait, and then waits for what f has started. A lane that
// has answered its last call is idle only a moment later.
func whileBusy(t *testing.T, m *Model, f func(*group)) {
	t.Helper()
	requireIdle(t, m)
	lanes := takeLanes(t, m)
	var started group
	defer started.Wait()
	defer func() {
		for _, lane := range lanes {
			go m.shared.work(lane)
		}
	}()
	f(&started)
}

// takeLanes takes all lanes of an idle model.
func takeLanes(t *testing.T, m *Model) []*torch.Runtime {
	t.Helper()
	m.shared.mu.Lock()
	defer m.shared.mu.Unlock() // Close, which cleans up after a test that failed, needs it
	for m.shared.opened < m.shared.lanes {
		lane, err := torch.Open(torch.Options{Threads: 1})
		require.NoError(t, err)
		m.shared.opened++
		m.shared.idle = append(m.shared.idle, lane)
	}
	lanes := m.shared.idle
	require.Len(t, lanes, m.shared.lanes, "the model is at work")
	m.shared.idle = nil
	m.shared.busy += len(lanes)
	m.shared.ended.Add(len(lanes))
	return lanes
}

type group struct{ sync.WaitGroup }

func (g *group) Go(f func()) {
	g.Add(1)
	go func() {
		defer g.Done()
		f()
	}()
}

// waitFor waits until n calls wait.
func waitFor(t *testing.T, m *Model, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		m.shared.mu.Lock()
		defer m.shared.mu.Unlock()
		return len(m.shared.waiting) == n
	}, 10*time.Second, time.Millisecond)
}

func requireIdle(t *testing.T, m *Model) {
	t.Helper()
	require.Eventually(t, func() bool {
		m.shared.mu.Lock()
		defer m.shared.mu.Unlock()
		return m.shared.busy == 0 && len(m.shared.waiting) == 0
	}, 10*time.Second, time.Millisecond)
}

// One query a call. RETORT_MODEL=DIR takes a real model in place of the tiny one.
func BenchmarkCallers(b *testing.B) {
	dir := os.Getenv("RETORT_MODEL")
	if dir == "" {
		dir = "testdata/tiny"
	}
	m := openModel(b, dir, Options{})
	texts := queries(64)
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			took := make([]time.Duration, b.N)
			next := make(chan int)
			var wg group
			for range callers {
				wg.Go(func() {
					for i := range next {
						start := time.Now()
						_, err := m.Encode(b.Context(), encoder.Query, texts[i%64:i%64+1])
						require.NoError(b, err)
						took[i] = time.Since(start)
					}
				})
			}
			before := processorTime(b)
			b.ResetTimer()
			for i := range b.N {
				next <- i
			}
			close(next)
			wg.Wait()
			b.StopTimer()
			b.ReportMetric((processorTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/query")
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
			b.ReportMetric(took[b.N/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[b.N*99/100].Seconds()*1000, "p99-ms")
		})
	}
}

func processorTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Rotary positions have tables that all lanes share.
func TestCallsOfARotaryModelAtTheSameTimeAreTheSame(t *testing.T) {
	m := openFamily(t, "modernbert", Options{Threads: 4})
	texts := queries(64)
	got := make([]blas32.General, len(texts))
	var wg group
	for i, text := range texts {
		wg.Go(func() {
			var err error
			got[i], err = m.Encode(t.Context(), encoder.Passage, []string{text})
			require.NoError(t, err)
		})
	}
	wg.Wait()
	for i, text := range texts {
		require.InDeltaSlice(t, encodeAlone(t, m, encoder.Passage, text), got[i].Data, 1e-6, text)
	}
}
