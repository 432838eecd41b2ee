package live

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
)

// fake gives every text the vector [value] and remembers being closed.
type fake struct {
	value  float32
	closed atomic.Int32
	err    error
}

func (f *fake) Dim() int { return 1 }

func (f *fake) Encode(_ context.Context, _ encoder.Role, texts []string) (blas32.General, error) {
	if f.closed.Load() > 0 {
		return blas32.General{}, errors.New("encode after close")
	}
	m := blas32.General{Rows: len(texts), Cols: 1, Stride: 1, Data: make([]float32, len(texts))}
	for i := range m.Data {
		m.Data[i] = f.value
	}
	return m, nil
}

func (f *fake) Close() error {
	f.closed.Add(1)
	return f.err
}

func encode(t *testing.T, e encoder.Encoder) float32 {
	t.Helper()
	m, err := e.Encode(t.Context(), encoder.Query, []string{"x"})
	require.NoError(t, err)
	return m.Data[0]
}

func TestALeaseKeepsItsModelThroughSwaps(t *testing.T) {
	first, second, third := &fake{value: 1, err: errors.New("was stuck")}, &fake{value: 2}, &fake{value: 3}
	e := New(first)
	early, err := e.Acquire()
	require.NoError(t, err)
	also, err := e.Acquire()
	require.NoError(t, err)

	closedFirst, err := e.Swap(second)
	require.NoError(t, err)
	closedSecond, err := e.Swap(third)
	require.NoError(t, err)
	require.NoError(t, <-closedSecond, "nobody used the second")
	late, err := e.Acquire()
	require.NoError(t, err)
	require.Equal(t, 1, early.Generation)
	require.Equal(t, 3, late.Generation)
	require.Equal(t, 3, e.Generation())
	require.Equal(t, float32(1), encode(t, early))
	require.Equal(t, float32(3), encode(t, late))

	early.Release()
	early.Release() // twice is once
	require.Zero(t, first.closed.Load(), "closed under its second user")
	require.Equal(t, float32(1), encode(t, also))
	also.Release()
	require.ErrorContains(t, <-closedFirst, "was stuck")
	for _, f := range []*fake{first, second} {
		require.Equal(t, int32(1), f.closed.Load())
	}
	late.Release()
	require.Zero(t, third.closed.Load(), "the current model stays open without users")
	require.NoError(t, e.Close(t.Context()))
	require.Equal(t, int32(1), third.closed.Load())
}

func TestCloseWaitsForTheLastUser(t *testing.T) {
	model := &fake{}
	e := New(model)
	lease, err := e.Acquire()
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, e.Close(ended), context.Canceled)
	require.Zero(t, model.closed.Load())
	lease.Release()
	require.Equal(t, int32(1), model.closed.Load())

	_, err = e.Acquire()
	require.ErrorIs(t, err, ErrClosed)
	require.Zero(t, e.Generation())
	next := &fake{}
	_, err = e.Swap(next)
	require.ErrorIs(t, err, ErrClosed)
	require.Equal(t, int32(1), next.closed.Load(), "a model that came too late is not forgotten")
	require.NoError(t, e.Close(t.Context()))
	require.Equal(t, int32(1), model.closed.Load())

	waited := New(model)
	model.closed.Store(0)
	lease, err = waited.Acquire()
	require.NoError(t, err)
	go func() {
		time.Sleep(20 * time.Millisecond)
		lease.Release()
	}()
	require.NoError(t, waited.Close(t.Context()))
	require.Equal(t, int32(1), model.closed.Load())
}

// Run with -race. A fake fails when it is used after Close.
func TestNobodyMeetsAClosedModel(t *testing.T) {
	const workers, swaps = 8, 200
	models := []*fake{{value: 1}}
	e := New(models[0])
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			last := 0
			for {
				select {
				case <-stop:
					return
				default:
				}
				lease, err := e.Acquire()
				if err != nil {
					t.Error(err)
					return
				}
				m, err := lease.Encode(context.Background(), encoder.Query, []string{"x"})
				if err != nil || m.Data[0] != float32(lease.Generation) || lease.Generation < last {
					t.Errorf("generation %d after %d: %v %v", lease.Generation, last, m.Data, err)
				}
				last = lease.Generation
				lease.Release()
			}
		}()
	}
	for i := range swaps {
		models = append(models, &fake{value: float32(i + 2)})
		closed, err := e.Swap(models[i+1])
		require.NoError(t, err)
		require.NoError(t, <-closed)
	}
	close(stop)
	wg.Wait()
	require.NoError(t, e.Close(t.Context()))
	for i, m := range models {
		require.Equal(t, int32(1), m.closed.Load(), "model %d", i)
	}
}
