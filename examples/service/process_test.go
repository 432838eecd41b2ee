package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder/encodertest"
)

// get returns the status and the body of an answer.
func (f *fixture) get(t *testing.T, path string) (int, string) {
	t.Helper()
	r, err := http.Get(f.server.URL + path)
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(body)
}

// With -race: one side answers and cannot train, another trains, and the model of the other is taken up and given up
// again while searches go on.
func TestAModelOfAnotherProcessIsServedWithoutALostQuery(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), func(o *settings) { o.Watch = 5 * time.Millisecond })
	var asked, failed atomic.Int64
	stop := make(chan struct{})
	var users sync.WaitGroup
	for _, by := range []string{byDense, byBM25, byHybrid} {
		users.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := http.Get(f.server.URL + "/search?q=opens+the+valve&by=" + by)
				asked.Add(1)
				if err != nil || r.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				if err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					r.Body.Close()
				}
			}
		})
	}
	end := sync.OnceFunc(func() { close(stop); users.Wait() })
	defer end()
	require.Eventually(t, func() bool { return asked.Load() > 20 }, time.Minute, time.Millisecond)

	trainer := f.settings
	trainer.Watch = 0
	require.NoError(t, specialiseOnce(t.Context(), f.corpus, trainer))
	serves := func(model string) func() bool { return func() bool { return f.health().Model == model } }
	require.Eventually(t, serves("specialised"), time.Minute, time.Millisecond)
	trained, err := f.specialised()
	require.NoError(t, err)
	require.Len(t, trained, 1)
	f.requireAnswersOf(t, f.modelDir(trained[0]), true)

	require.NoError(t, os.RemoveAll(f.modelDir(trained[0])))
	require.Eventually(t, serves("as it was"), time.Minute, time.Millisecond)
	f.requireAnswersOf(t, f.Model, true)
	end()
	require.Zero(t, failed.Load(), "of %d", asked.Load())
	require.GreaterOrEqual(t, f.queries.asked(), int(asked.Load()), "every query answered is kept")
}

func TestAModelOfAnotherIndexIsNotServed(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), func(o *settings) { o.Watch = 5 * time.Millisecond })
	other, err := encodertest.New(encodertest.Options{Seed: 4})
	require.NoError(t, err)
	require.NoError(t, other.Save(f.modelDir(7)))
	require.Eventually(t, func() bool {
		f.zoo.mu.Lock()
		defer f.zoo.mu.Unlock()
		return len(f.zoo.all) == 2 && f.zoo.all[1].closed.Load() == 1
	}, time.Minute, time.Millisecond)
	time.Sleep(50 * time.Millisecond)
	require.Equal(t, "as it was", f.health().Model)
	f.zoo.mu.Lock()
	defer f.zoo.mu.Unlock()
	require.Len(t, f.zoo.all, 2, "it is opened once, not at every look")
}

func TestASpecialiserNeedsQueriesThatAreNew(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), nil)
	_, err := f.ask("opens the valve", 3)
	require.NoError(t, err)
	log := filepath.Join(f.Dir, queriesFile)
	whole, err := os.ReadFile(log)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(log, append(whole, `{"_id":"half`...), 0o600)) // as the service may be writing it
	require.NoError(t, specialiseOnce(t.Context(), f.corpus, f.settings))
	require.DirExists(t, f.modelDir(1))
	require.ErrorIs(t, specialiseOnce(t.Context(), f.corpus, f.settings), errNothing)

	o := f.settings
	o.Dir = t.TempDir()
	require.ErrorContains(t, specialiseOnce(t.Context(), f.corpus, o), queriesFile)
}

func TestASearchRanksByWhatItAsksFor(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), nil)
	bodies := map[string]string{}
	for _, by := range []string{byDense, byBM25, byHybrid} {
		status, body := f.get(t, "/search?k=5&q=opens+the+valve&by="+by)
		require.Equal(t, http.StatusOK, status, body)
		require.Contains(t, body, `"by":"`+by+`"`)
		bodies[body] = by
	}
	require.Len(t, bodies, 3)
	_, plain := f.get(t, "/search?k=5&q=opens+the+valve")
	require.Equal(t, byDense, bodies[plain])
	status, body := f.get(t, "/search?q=x&by="+url.QueryEscape("fts"))
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, `by is \"fts\", want dense, bm25 or hybrid`)
}

func TestMetricsCountSearches(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), nil)
	for _, q := range []string{"q=valve", "q=pump", "q=pump&by=hybrid"} {
		f.get(t, "/search?"+q)
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		status, body := f.get(t, path)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, want, body)
	}
	status, body := f.get(t, "/metrics")
	require.Equal(t, http.StatusOK, status)
	for _, want := range []string{
		`retort_searches_total{by="dense",status="200"} 2`, `retort_searches_total{by="hybrid",status="200"} 1`,
		`retort_search_seconds_bucket{le="+Inf"} 3`, "retort_search_seconds_count 3", "retort_top_cosine_count 2",
		"retort_model_queries -1", "retort_queries_asked 3", "retort_passages 150",
	} {
		require.Contains(t, body, want+"\n")
	}
	f.stop()
	status, _ = f.get(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status, "in a shutdown")
	status, _ = f.get(t, "/healthz")
	require.Equal(t, http.StatusOK, status)
}
