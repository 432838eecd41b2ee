//go:build libtorch

package transformer

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/torch"
)

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
