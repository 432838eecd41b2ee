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

type group struct{ sync.WaitGroup }

func (g *group) Go(f func()) {
	g.Add(1)
	go func() {
		defer g.Done()
		f()
	}()
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
