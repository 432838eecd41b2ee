package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/mine"
)

// watched is a model that fails when it is used after Close, and counts.
type watched struct {
	model
	dir      string
	train    bool
	closed   atomic.Int32
	passages atomic.Int64
	before   func(text string) // called with the first text of every batch of queries, where set
}

func (w *watched) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	if w.closed.Load() > 0 {
		return blas32.General{}, errors.New("encode after close")
	}
	if role == encoder.Passage {
		w.passages.Add(int64(len(texts)))
	} else if w.before != nil && len(texts) > 0 {
		w.before(texts[0])
	}
	return w.model.Encode(ctx, role, texts)
}

// SplitTowers is that of the model inside.
func (w *watched) SplitTowers() error { return w.model.(encoder.Splitter).SplitTowers() }

// Parameters are those of the model inside.
func (w *watched) Parameters() []encoder.Parameter { return w.model.(encoder.Parametric).Parameters() }

func (w *watched) Close() error {
	w.closed.Add(1)
	return w.model.Close()
}

// zoo opens models and remembers them.
type zoo struct {
	open func(ctx context.Context, dir string) (model, error)
	mu   sync.Mutex
	all  []*watched
}

func (z *zoo) Open(ctx context.Context, dir string, train bool) (model, error) {
	m, err := z.open(ctx, dir)
	if err != nil {
		return nil, err
	}
	w := &watched{model: m, dir: dir, train: train}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.all = append(z.all, w)
	return w, nil
}

// inMemory is the encoder for tests, which has nothing to close.
type inMemory struct{ *encodertest.Encoder }

func (inMemory) Close() error { return nil }

func openInMemory(_ context.Context, dir string) (model, error) {
	e, err := encodertest.Open(dir)
	if err != nil {
		return nil, err
	}
	return inMemory{e}, nil
}

func saveInMemory(t *testing.T) string {
	t.Helper()
	e, err := encodertest.New(encodertest.Options{Seed: 3})
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "base")
	require.NoError(t, e.Save(dir))
	return dir
}

// handbook is a corpus of short texts about made-up parts, equal in every test.
func handbook(t testing.TB) *retort.MemoryCorpus {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	words := make([]string, 150)
	for i := range words {
		for range 2 + r.IntN(2) {
			words[i] += string("bdfgklmnprstvz"[r.IntN(14)]) + string("aeiou"[r.IntN(5)])
		}
	}
	pick := func() string { return words[r.IntN(len(words))] + "r" }
	passages := make([]retort.Passage, len(words))
	for i := range passages {
		passages[i] = retort.Passage{
			ID: fmt.Sprintf("part%03d", i), Title: pick() + " " + pick(),
			Text: fmt.Sprintf("The %s opens the %s valve when the %s pressure rises above the %s limit. "+
				"Every %s keeps a spare %s beside the %s pump of the second floor.", pick(), pick(), pick(), pick(), pick(), pick(), pick()),
		}
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return corpus
}

// eager trains hard and takes the student: a corpus this small has too few held-out passages to tell a gain from
// chance.
func eager(r *pipeline.Recipe) {
	tuned(200, 0.01, 3)(r)
	r.KeepLast = true
}

// tuned is a recipe of so many queries, and another schedule.
func tuned(queries int, lr float64, epochs int) func(*pipeline.Recipe) {
	return func(r *pipeline.Recipe) {
		r.Mining, r.Training = pipeline.DefaultMining(r.Towers), pipeline.DefaultTraining(r.Towers)
		r.Mining.MaxQueries, r.Training.Schedule.LR, r.Training.Schedule.Epochs = queries, lr, epochs
	}
}

type fixture struct {
	*service
	zoo    *zoo
	server *httptest.Server
}

// start opens a service on the in-memory encoder; change may be nil.
func start(t *testing.T, dir, modelDir string, change func(*settings)) *fixture {
	t.Helper()
	f := &fixture{zoo: &zoo{open: openInMemory}}
	o := settings{
		Dir: dir, Model: modelDir, Open: f.zoo.Open, Tune: eager, SearchTime: time.Minute,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&o)
	}
	var err error
	f.service, err = openService(t.Context(), handbook(t), o)
	require.NoError(t, err)
	f.server = httptest.NewServer(f.handler())
	t.Cleanup(func() { f.end(t) })
	return f
}

func TestAStartThatFailsSaysWhyAndClosesItsModel(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		cancelled        bool
		want             string
	}{
		{name: "malformed queries", file: "queries.jsonl", text: "{\n", want: "queries.jsonl:1"},
		{name: "interrupted", cancelled: true, want: context.Canceled.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, z := t.TempDir(), &zoo{open: openInMemory}
			if c.file != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600))
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.cancelled {
				cancel()
			}
			_, err := openService(ctx, handbook(t), settings{
				Dir: dir, Model: saveInMemory(t), Open: z.Open, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			require.ErrorContains(t, err, c.want)
			require.Len(t, z.all, 1)
			require.Equal(t, int32(1), z.all[0].closed.Load())
		})
	}
}

// end closes the service and checks that each model was closed once.
func (f *fixture) end(t *testing.T) {
	if f.server == nil {
		return
	}
	f.server.Close()
	f.server = nil
	require.NoError(t, f.close(context.Background()))
	for _, m := range f.zoo.all {
		require.Equal(t, int32(1), m.closed.Load(), "%s, to train: %v", m.dir, m.train)
	}
}

// ask returns an error for every answer that is not a search's.
func (f *fixture) ask(q string, k int) (*answer, error) {
	r, err := http.Get(fmt.Sprintf("%s/search?q=%s&k=%d", f.server.URL, url.QueryEscape(q), k))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var a answer
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK || len(a.Hits) != k {
		return nil, fmt.Errorf("status %d, %d hits for %q", r.StatusCode, len(a.Hits), q)
	}
	return &a, nil
}

func (f *fixture) post(t *testing.T) (status int, text string) {
	t.Helper()
	r, err := http.Post(f.server.URL+"/specialise", "", nil)
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(body)
}

// trained waits for so many trainings to have ended, and returns the service's health as GET /health has it.
func (f *fixture) trained(t *testing.T, runs int) (h health) {
	t.Helper()
	require.Eventually(t, func() bool {
		r, err := http.Get(f.server.URL + "/health")
		require.NoError(t, err)
		defer r.Body.Close()
		h = health{}
		require.NoError(t, json.NewDecoder(r.Body).Decode(&h))
		return h.Training.Runs >= runs && !h.Training.Running
	}, 2*time.Minute, 5*time.Millisecond)
	return h
}

// The point of it all, with -race: searches go on while the model is trained and swapped, none fails, and those that
// begin after the swap are answered by the new encoder over the old index.
func TestNoSearchFailsWhileTheEncoderIsSwapped(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), nil)
	searchThroughASwap(t, f)
}

func searchThroughASwap(t *testing.T, f *fixture) {
	const workers = 6
	queries := []string{"opens the valve", "spare beside the pump", "pressure rises above the limit", "second floor"}
	vectors := f.index.Vectors()
	var asked, failed, early, late atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			last := 0
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				a, err := f.ask(queries[i%len(queries)], 5)
				asked.Add(1)
				switch {
				case err != nil || a.Generation < last:
					failed.Add(1)
					t.Errorf("after generation %d: %+v %v", last, a, err)
					return
				case a.Generation == 1:
					early.Add(1)
				default:
					late.Add(1)
				}
				last = a.Generation
			}
		}()
	}
	require.Eventually(t, func() bool { return early.Load() > 20 }, time.Minute, time.Millisecond)
	status, text := f.post(t)
	require.Equal(t, http.StatusAccepted, status, text)
	h := f.trained(t, 1)
	require.Empty(t, h.Training.Error)
	require.True(t, h.Training.Last.Taken, "%+v", h.Training.Last)
	more := late.Load() + 20
	require.Eventually(t, func() bool { return late.Load() > more || failed.Load() > 0 }, time.Minute, time.Millisecond)
	end()
	require.Zero(t, failed.Load())
	t.Logf("%d searches, %d before the swap and %d after, 0 failed; %+v", asked.Load(), early.Load(), late.Load(),
		*h.Training.Last)

	require.Equal(t, 2, h.Generation)
	require.Equal(t, "specialised", h.Model)
	require.Equal(t, asked.Load(), int64(f.queries.asked()), "every query answered is kept")
	f.requireAnswersOf(t, f.modelDir(f.service.trained), true)
	f.requireAnswersOf(t, f.Model, false)

	require.Len(t, f.zoo.all, 3, "one to serve, one to train, the trained one to serve")
	base, student, now := f.zoo.all[0], f.zoo.all[1], f.zoo.all[2]
	require.True(t, student.train && !base.train && !now.train)
	require.Equal(t, int32(1), base.closed.Load())
	require.Equal(t, int32(1), student.closed.Load())
	require.Zero(t, now.closed.Load())
	require.Zero(t, now.passages.Load(), "the new encoder encoded passages: the index was rebuilt")
	require.Equal(t, &vectors.Data[0], &f.index.Vectors().Data[0])
}

// requireAnswersOf compares the service's answers with those of an exact search with the model in dir.
func (f *fixture) requireAnswersOf(t *testing.T, dir string, same bool) {
	t.Helper()
	m, err := f.zoo.open(t.Context(), dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	dense, err := mine.NewDenseVectors(m, f.index.Vectors())
	require.NoError(t, err)
	const q = "what opens when the pressure rises"
	rankings, err := dense.Search(t.Context(), []retort.Query{{ID: "q", Text: q}}, 10)
	require.NoError(t, err)
	got, err := f.ask(q, 10)
	require.NoError(t, err)
	equal := true
	for i, h := range rankings[0] {
		p, err := f.corpus.At(h.Index)
		require.NoError(t, err)
		equal = equal && got.Hits[i].ID == p.ID && max(got.Hits[i].Score-h.Score, h.Score-got.Hits[i].Score) < 1e-5
	}
	require.Equal(t, same, equal, "answers of %s", dir)
}

func TestASearchInFlightKeepsItsEncoderThroughASwap(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), nil)
	entered, proceed := make(chan struct{}), make(chan struct{})
	base := f.zoo.all[0]
	base.before = func(text string) {
		if text == "slow" {
			close(entered)
			<-proceed
		}
	}
	type result struct {
		*answer
		err error
	}
	slow := make(chan result, 1)
	go func() {
		a, err := f.ask("slow", 3)
		slow <- result{a, err}
	}()
	<-entered
	status, text := f.post(t)
	require.Equal(t, http.StatusAccepted, status, text)
	require.Eventually(t, func() bool { return f.encoder.Generation() == 2 }, 2*time.Minute, time.Millisecond)
	quick, err := f.ask("quick", 3)
	require.NoError(t, err)
	require.Equal(t, 2, quick.Generation)
	require.Zero(t, base.closed.Load(), "closed under a search")
	close(proceed)
	r := <-slow
	require.NoError(t, r.err)
	require.Equal(t, 1, r.Generation)
	f.trained(t, 1)
	require.Equal(t, int32(1), base.closed.Load())
}

func TestARestartServesTheSpecialisedModelAndKeepsTheQueries(t *testing.T) {
	dir, modelDir := t.TempDir(), saveInMemory(t)
	f := start(t, dir, modelDir, nil)
	_, err := f.ask("opens the valve", 3)
	require.NoError(t, err)
	f.post(t)
	require.Equal(t, "specialised", f.trained(t, 1).Model)
	want, err := f.ask("spare pump", 5)
	require.NoError(t, err)
	f.end(t)

	again := start(t, dir, modelDir, nil)
	h := again.trained(t, 0)
	require.Equal(t, "specialised", h.Model)
	require.Equal(t, 2, h.Asked)
	got, err := again.ask("spare pump", 5)
	require.NoError(t, err)
	require.Equal(t, want.Hits, got.Hits)

	// A later training takes the place of the model before.
	again.post(t)
	h = again.trained(t, 1)
	require.True(t, h.Training.Last.Taken)
	left, err := again.specialised()
	require.NoError(t, err)
	require.ElementsMatch(t, []int{1, 3}, left, "one to go back to")
	again.end(t)

	// Another base has models of its own.
	other, err := encodertest.New(encodertest.Options{Seed: 4})
	require.NoError(t, err)
	otherDir := filepath.Join(t.TempDir(), "other")
	require.NoError(t, other.Save(otherDir))
	require.Equal(t, "as it was", start(t, dir, otherDir, nil).health().Model)
}

func TestARestartEmbedsOnlyWhatIsNew(t *testing.T) {
	dir, modelDir := t.TempDir(), saveInMemory(t)
	n := int64(handbook(t).Len())
	embedded := func(modelDir string) int64 {
		f := start(t, dir, modelDir, nil)
		defer f.end(t)
		dense, err := mine.NewDense(t.Context(), f.zoo.all[0].model, f.corpus, nil)
		require.NoError(t, err)
		require.Equal(t, dense.Vectors().Data, f.index.Vectors().Data)
		return f.zoo.all[0].passages.Load()
	}
	require.Equal(t, n, embedded(modelDir))
	require.Zero(t, embedded(modelDir))

	files, err := filepath.Glob(filepath.Join(dir, "vectors-*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	raw, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for _, damaged := range [][]byte{raw[:len(raw)-1], raw[:10], nil, append([]byte{raw[0] ^ 1}, raw[1:]...)} {
		require.NoError(t, os.WriteFile(files[0], damaged, 0o644))
		require.Equal(t, n, embedded(modelDir), "a damaged file is not believed")
	}
	require.Zero(t, embedded(modelDir))

	other, err := encodertest.New(encodertest.Options{Seed: 4})
	require.NoError(t, err)
	otherDir := filepath.Join(t.TempDir(), "other")
	require.NoError(t, other.Save(otherDir))
	require.Equal(t, n, embedded(otherDir), "another model")
	files, err = filepath.Glob(filepath.Join(dir, "vectors-*"))
	require.NoError(t, err)
	require.Len(t, files, 1, "one file at a time")
}

func TestAModelThatIsNotBetterIsNotServed(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), func(o *settings) {
		o.Tune = tuned(200, 1e-6, 1)
	})
	f.post(t)
	h := f.trained(t, 1)
	require.False(t, h.Training.Last.Taken)
	require.Empty(t, h.Training.Error)
	require.Equal(t, 1, h.Generation)
	require.Equal(t, "as it was", h.Model)
	left, err := f.specialised()
	require.NoError(t, err)
	require.Empty(t, left)
	status, text := f.post(t)
	require.Equal(t, http.StatusConflict, status)
	require.Contains(t, text, "there is no new query since")
}

func TestNewQueriesStartATraining(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), func(o *settings) { o.Every = 5 })
	for i := range 5 {
		require.Zero(t, f.trained(t, 0).Training.Runs)
		_, err := f.ask(fmt.Sprintf("opens valve %d", i), 1)
		require.NoError(t, err)
	}
	h := f.trained(t, 1)
	require.Empty(t, h.Training.Error)
	require.Equal(t, 2, h.Generation)
}

func TestATrainingThatFailsLeavesTheServiceAsItWas(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), func(o *settings) {
		o.Every = 2
		open := o.Open
		o.Open = func(ctx context.Context, dir string, train bool) (model, error) {
			if train {
				return nil, errors.New("the model folder is gone")
			}
			return open(ctx, dir, train)
		}
	})
	for i := range 4 {
		_, err := f.ask(fmt.Sprintf("valve %d", i), 1)
		require.NoError(t, err)
		f.trained(t, (i+1)/2) // one after every second query, not at each after a failure
	}
	h := f.trained(t, 2)
	require.Equal(t, 2, h.Training.Runs)
	require.Contains(t, h.Training.Error, "the model folder is gone")
	require.Equal(t, 1, h.Generation)
	_, err := f.ask("valve", 1)
	require.NoError(t, err)
}

func TestShutdownCancelsATrainingWithinTwoSeconds(t *testing.T) {
	var f *fixture
	began := make(chan struct{})
	f = start(t, t.TempDir(), saveInMemory(t), func(o *settings) {
		o.Tune = func(r *pipeline.Recipe) {
			tuned(200, 1e-4, 3000)(r)
			r.KeepLast = true
			progress, once := r.Events.Stage, sync.Once{}
			r.Events.Stage = func(now retort.Stage) {
				progress(now)
				if now.Name == retort.StageTrain {
					once.Do(func() { close(began) })
				}
			}
		}
	})
	f.server.Close()
	f.server = nil
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.serve(ctx, l) }()
	r, err := http.Post("http://"+l.Addr().String()+"/specialise", "", nil)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusAccepted, r.StatusCode)
	<-began

	cancel()
	start := time.Now()
	require.NoError(t, <-ended)
	require.Less(t, time.Since(start), 2*time.Second)
	for _, m := range f.zoo.all {
		require.Equal(t, int32(1), m.closed.Load())
	}
	require.ErrorIs(t, f.specialise(), errClosing)
	require.Equal(t, "shutting down", f.health().Status)
	_, err = http.Get("http://" + l.Addr().String() + "/health")
	require.Error(t, err)
}

func TestASearchThatTakesTooLongIsRefused(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), func(o *settings) { o.SearchTime = time.Millisecond })
	f.zoo.all[0].before = func(string) { time.Sleep(50 * time.Millisecond) }
	r, err := http.Get(f.server.URL + "/search?q=slow")
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
	require.Contains(t, string(body), "no answer within 1ms")
	require.Zero(t, f.queries.asked())
}

func TestBadRequestsGetAPlainError(t *testing.T) {
	f := start(t, t.TempDir(), saveInMemory(t), nil)
	for _, test := range []struct {
		name, method, path string
		status             int
		want               string
	}{
		{"no query", "GET", "/search", 400, "q is empty"},
		{"blank query", "GET", "/search?q=%20%09", 400, "q is empty"},
		{"long query", "GET", "/search?q=" + strings.Repeat("a", 1001), 400, "q has 1001 characters, want at most 1000"},
		{"longest query", "GET", "/search?q=" + strings.Repeat("%C3%A9", 1000), 200, "hits"},
		{"not UTF-8", "GET", "/search?q=%ff", 400, "not UTF-8"},
		{"no hits", "GET", "/search?q=a&k=0", 400, `k is \"0\", want a number from 1 to 100`},
		{"too many hits", "GET", "/search?q=a&k=101", 400, "from 1 to 100"},
		{"k is no number", "GET", "/search?q=a&k=ten", 400, `k is \"ten\"`},
		{"empty k", "GET", "/search?q=a&k=", 400, "from 1 to 100"},
		{"default k", "GET", "/search?q=a", 200, "part"},
		{"specialise is a POST", "GET", "/specialise", 405, ""},
		{"search is a GET", "POST", "/search?q=a", 405, ""},
		{"nothing there", "GET", "/", 404, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequest(test.method, f.server.URL+test.path, nil)
			require.NoError(t, err)
			r, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, test.status, r.StatusCode, string(body))
			require.Contains(t, string(body), test.want)
		})
	}
	require.Equal(t, 2, f.queries.asked(), "only answered queries are kept")
}

// The service decides nothing about the method: a training is what the zero Recipe makes of its corpus and queries.
func TestATrainingIsTheZeroRecipe(t *testing.T) {
	dir, modelDir := t.TempDir(), saveInMemory(t)
	f := start(t, dir, modelDir, func(o *settings) { o.Tune = nil })
	_, err := f.ask("what opens the valve", 1)
	require.NoError(t, err)
	f.post(t)
	require.Empty(t, f.trained(t, 1).Training.Error)
	queries, _, err := f.queries.distinct(mostQueries)
	require.NoError(t, err)
	student, err := openInMemory(t.Context(), modelDir)
	require.NoError(t, err)
	library := filepath.Join(t.TempDir(), "run")
	_, err = pipeline.Specialise(t.Context(), student, f.corpus, pipeline.Recipe{Folder: library, Queries: queries})
	require.NoError(t, err)
	for _, file := range []string{"filter.jsonl", "train.state"} {
		want, err := os.ReadFile(filepath.Join(library, file))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(dir, "run", file))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), file)
	}
}
