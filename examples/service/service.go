package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/examples/service/live"
	"github.com/retort-ir/retort/mine"
)

// model is an encoder: *transformer.Model, or a fake in tests.
type model interface {
	encoder.Trainable
	encoder.Fingerprinter
	Close() error
}

// settings of a service.
type settings struct {
	Dir   string // holds queries.jsonl and the specialised model
	Model string // the folder of the model that embeds the passages
	// Open opens a model folder, to serve or to train.
	Open func(ctx context.Context, dir string, train bool) (model, error)
	// Every is the number of new queries that starts a training; 0: only a request starts one.
	Every int
	// Watch is the time between two looks for a model of another process; 0: never.
	Watch time.Duration
	// SearchTime is the time limit of a search.
	SearchTime time.Duration
	// Hosts are the accepted host names, besides localhost and IP addresses.
	Hosts []string
	// Tune changes the recipe if it is not nil.
	Tune   func(*pipeline.Recipe)
	Logger *slog.Logger
}

// service is a search over one corpus. Its index of passage vectors is made once; only the query encoder changes.
type service struct {
	settings
	corpus  retort.Corpus
	index   *mine.Dense
	bm25    *mine.BM25
	hybrid  *mine.ZScoreFusion // of both
	encoder *live.Encoder
	queries *queryLog
	metrics metrics
	base    string // what the specialised models of this base are called, up to the count of queries
	context context.Context
	cancel  context.CancelFunc
	jobs    sync.WaitGroup

	untrainable error      // why this process cannot train; nil: it can
	swapping    sync.Mutex // held while a model is opened and swapped in

	mu      sync.Mutex
	serving int // queries that the model that answers has seen; -1: the model as it was
	trained int // queries asked when the last finished training began; -1: none yet
	tried   int // the same of the last that began, so that one that fails is not tried at every query
	closed  bool
	state   training
}

// training is the state of the training in GET /health.
type training struct {
	Running bool     `json:"running"`
	Stage   string   `json:"stage,omitempty"`
	Done    int      `json:"done,omitempty"`
	Total   int      `json:"total,omitempty"`
	Runs    int      `json:"runs"`           // finished or failed
	Last    *outcome `json:"last,omitempty"` // of the last that finished
	Error   string   `json:"error,omitempty"`
}

// outcome is the result of a training.
type outcome struct {
	Verdict string `json:"verdict"`
	Taken   bool   `json:"taken"` // the trained model answers from now on
	Lists   int    `json:"lists"` // trained on
	// How it differed from the model as it was on queries of held-out passages, where those tested it.
	Test *eval.Comparison `json:"test,omitempty"`
}

// The reasons why a training does not start.
var (
	errRunning = errors.New("a training is running: see /health")
	errNothing = errors.New("there is no new query since the last training")
	errClosing = errors.New("the service is shutting down")
	errCannot  = errors.New("this process cannot train: run the service with -specialise, built with LibTorch")
)

// mostQueries is the maximum number of user queries in training. The latest queries are used.
const mostQueries = 10_000

// openService embeds the corpus, unless an earlier start has, and opens the newest specialised model, if there is one.
func openService(ctx context.Context, corpus retort.Corpus, o settings) (_ *service, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &service{settings: o, corpus: corpus, trained: -1, serving: asItWas}
	base, err := o.Open(ctx, o.Model, false)
	if err != nil {
		return nil, err
	}
	s.encoder = live.New(base)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.encoder.Close(context.WithoutCancel(ctx)))
		}
	}()
	start := time.Now()
	vectors, err := s.embed(ctx, base)
	if err != nil {
		return nil, err
	}
	if err := s.openIndex(ctx, vectors); err != nil {
		return nil, err
	}
	if c, ok := base.(encoder.TrainingChecker); ok {
		s.untrainable = c.CheckTraining()
	}
	if o.Every > 0 && s.untrainable != nil {
		return nil, fmt.Errorf("-every %d: %w: %w", o.Every, errCannot, s.untrainable)
	}
	o.Logger.Info("index ready", "passages", corpus.Len(), "seconds", time.Since(start).Round(time.Millisecond).Seconds())
	s.base = baseName(base)
	if err := s.openNewest(ctx); err != nil {
		return nil, err
	}
	var torn int64
	if s.queries, torn, err = openQueryLog(filepath.Join(o.Dir, queriesFile)); err != nil {
		return nil, err
	}
	if torn > 0 {
		o.Logger.Warn("cut a torn line off the queries", "bytes", torn)
	}
	s.context, s.cancel = context.WithCancel(context.Background())
	if o.Watch > 0 {
		s.jobs.Go(s.watch)
	}
	return s, nil
}

// baseName returns what the specialised models of a base are called, up to the number of queries.
func baseName(base model) string { return fmt.Sprintf("model-%.12s-", base.Fingerprint()) }

// openNewest swaps the newest specialised model of this base in.
func (s *service) openNewest(ctx context.Context) error {
	newest, err := s.newest()
	if err != nil || newest == asItWas {
		return err
	}
	if err := s.swap(ctx, newest, true); err != nil {
		return fmt.Errorf("%w (remove %s to serve the model before it)", err, s.modelDir(newest))
	}
	s.trained, s.tried = newest, newest
	return nil
}

// modelDir is the folder of the model that has seen so many queries.
func (s *service) modelDir(queries int) string {
	if queries == asItWas {
		return s.Model
	}
	return filepath.Join(s.Dir, s.base+strconv.Itoa(queries))
}

// specialised returns how many queries each of the specialised models has seen.
func (s *service) specialised() ([]int, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, err
	}
	var found []int
	for _, e := range entries {
		count, ok := strings.CutPrefix(e.Name(), s.base)
		if n, err := strconv.Atoi(count); ok && err == nil {
			found = append(found, n)
		}
	}
	return found, nil
}

// collect records an answered query, and starts a training after enough new queries. Its errors do not fail the search.
func (s *service) collect(text string) {
	asked, err := s.queries.add(text, time.Now())
	if err != nil {
		s.Logger.Error("a query was not kept", "error", err)
		return
	}
	if s.Every == 0 {
		return
	}
	s.mu.Lock()
	due := asked-s.tried >= s.Every && !s.state.Running
	s.mu.Unlock()
	if due {
		// Another request may have been faster.
		if err := s.specialise(); err != nil && !errors.Is(err, errRunning) && !errors.Is(err, errClosing) {
			s.Logger.Error("not specialised", "error", err)
		}
	}
}

// specialise starts a training in the background.
func (s *service) specialise() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosing
	case s.untrainable != nil:
		return fmt.Errorf("%w: %w", errCannot, s.untrainable)
	case s.state.Running:
		return errRunning
	case s.trained == s.queries.asked():
		return errNothing
	}
	s.state.Running, s.state.Error = true, ""
	s.tried = s.queries.asked()
	s.jobs.Add(1)
	go func() {
		defer s.jobs.Done()
		last, asked, err := s.train(s.context)
		if err == nil && last.Taken {
			err = s.swap(s.context, asked, false)
		}
		s.finish(last, asked, err)
	}()
	return nil
}

func (s *service) finish(last *outcome, asked int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = training{Runs: s.state.Runs + 1, Last: s.state.Last}
	if s.context.Err() != nil {
		s.Logger.Info("training cancelled")
		return
	}
	if err != nil {
		s.state.Error = err.Error()
		s.Logger.Error("not specialised", "error", err)
		return
	}
	s.state.Last, s.trained = last, asked
	s.Logger.Info("specialised", "taken", last.Taken, "verdict", last.Verdict)
}

// train specialises a second copy of the model, as it was at first, on all that was asked until now. Where that found
// the held-out queries better beyond doubt, it is saved.
func (s *service) train(ctx context.Context) (last *outcome, asked int, err error) {
	student, err := s.Open(ctx, s.Model, true)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if student != nil {
			err = errors.Join(err, student.Close())
		}
	}()
	r := pipeline.Recipe{
		Folder: filepath.Join(s.Dir, "run"), Vectors: s.index.Vectors(), Events: retort.Events{Stage: s.progress},
	}
	if r.Queries, asked, err = s.queries.distinct(mostQueries); err != nil {
		return nil, 0, err
	}
	if s.Tune != nil {
		s.Tune(&r)
	}
	s.Logger.Info("specialising", "asked", asked, "distinct", len(r.Queries))
	out, err := pipeline.Specialise(ctx, student, s.corpus, r)
	if err != nil {
		return nil, asked, err
	}
	last = &outcome{Verdict: out.Verdict, Taken: out.Kept, Lists: len(out.Lists), Test: out.Test}
	if !last.Taken {
		return last, asked, nil
	}
	if err := saveWhole(student, s.modelDir(asked)); err != nil {
		return nil, 0, err
	}
	// Closing the training first leaves its memory for the new model.
	trained := student
	student = nil
	return last, asked, trained.Close()
}

// saveWhole saves a model so that its folder appears whole or not at all: another process may look for it.
func saveWhole(m model, dir string) error {
	partial := dir + ".new"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := m.Save(partial); err != nil {
		return err
	}
	return os.Rename(partial, dir)
}

func (s *service) progress(now retort.Stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Name != s.state.Stage {
		s.Logger.Info("training", "stage", now.Name, "of", now.Total)
	}
	s.state.Stage, s.state.Done, s.state.Total = now.Name, now.Done, now.Total
}

// statusOK is the status of a service that answers.
const statusOK = "ok"

// health is the answer of GET /health.
type health struct {
	Status     string   `json:"status"`
	Passages   int      `json:"passages"`
	Asked      int      `json:"asked"`
	Generation int      `json:"generation"` // of the query encoder; counted from the start of the process
	Model      string   `json:"model"`      // "specialised", or "as it was"
	Training   training `json:"training"`
	serving    int      // queries that the model has seen, or asItWas
}

func (s *service) health() health {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := health{
		Status: statusOK, Passages: s.corpus.Len(), Asked: s.queries.asked(), Generation: s.encoder.Generation(),
		Model: "as it was", Training: s.state, serving: s.serving,
	}
	if s.serving != asItWas {
		h.Model = "specialised"
	}
	if s.closed {
		h.Status = "shutting down"
	}
	return h
}

// stop ends a training and lets no new one start. Searches go on.
func (s *service) stop() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
}

// errLate means that a training did not stop in time. The files on disk are complete.
var errLate = errors.New("the training did not stop in time")

// close stops, waits for the training and the last search to end, and closes all. Where ctx ends first, what is in use
// stays open.
func (s *service) close(ctx context.Context) error {
	s.stop()
	ended := make(chan struct{})
	go func() {
		s.jobs.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return errors.Join(s.encoder.Close(ctx), s.bm25.Close(), s.queries.close())
	case <-ctx.Done():
		return errors.Join(errLate, s.queries.close())
	}
}
