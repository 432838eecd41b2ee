package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
)

// database returns a configuration with a schema of the test's own.
func database(t *testing.T) *pgxpool.Config {
	t.Helper()
	dsn := os.Getenv("RETORT_PGVECTOR_DSN")
	if dsn == "" {
		t.Skip("no database: set RETORT_PGVECTOR_DSN to a PostgreSQL with pgvector, as \"make test-pgvector\" does")
	}
	config, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	admin, err := pgx.ConnectConfig(t.Context(), config.ConnConfig.Copy())
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), "CREATE EXTENSION IF NOT EXISTS vector")
	require.NoError(t, err)
	schema := pgx.Identifier{fmt.Sprintf("retort_test_%d", rand.Int64())}.Sanitize()
	_, err = admin.Exec(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
		require.NoError(t, err)
		require.NoError(t, admin.Close(context.Background()))
	})
	config.ConnConfig.RuntimeParams["search_path"] = schema + ",public"
	return config
}

func open(t *testing.T, config *pgxpool.Config, dim int) *store {
	t.Helper()
	s, err := openStore(t.Context(), config, dim)
	require.NoError(t, err)
	t.Cleanup(s.close)
	return s
}

// inMemory is the encoder for tests. It counts the passages that it encodes, and fails at the one whose number is
// failAt.
type inMemory struct {
	*encodertest.Encoder
	passages atomic.Int64
	failAt   int64
	closed   atomic.Bool
}

func newModel(t *testing.T, seed uint64) *inMemory {
	t.Helper()
	e, err := encodertest.New(encodertest.Options{Seed: seed})
	require.NoError(t, err)
	return &inMemory{Encoder: e}
}

func (m *inMemory) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	if m.closed.Load() {
		return blas32.General{}, errors.New("encode after close")
	}
	if role == encoder.Passage {
		if n := m.passages.Add(int64(len(texts))); m.failAt > 0 && n >= m.failAt {
			return blas32.General{}, errors.New("the power went")
		}
	}
	return m.Encoder.Encode(ctx, role, texts)
}

func (m *inMemory) Close() error {
	m.closed.Store(true)
	return nil
}

// handbook is n short texts about made-up parts, equal in every test.
func handbook(n int) []retort.Passage {
	r := rand.New(rand.NewPCG(1, 1))
	words := make([]string, 150)
	for i := range words {
		for range 2 + r.IntN(2) {
			words[i] += string("bdfgklmnprstvz"[r.IntN(14)]) + string("aeiou"[r.IntN(5)])
		}
	}
	pick := func() string { return words[r.IntN(len(words))] + "r" }
	passages := make([]retort.Passage, n)
	for i := range passages {
		passages[i] = retort.Passage{
			ID: fmt.Sprintf("part%03d", i), Title: pick() + " " + pick(),
			Text: fmt.Sprintf("The %s opens the %s valve when the %s pressure rises above the %s limit. "+
				"Every %s keeps a spare %s beside the %s pump of the second floor.", pick(), pick(), pick(), pick(), pick(), pick(), pick()),
		}
	}
	return passages
}

func newCorpus(t *testing.T, passages []retort.Passage) *retort.MemoryCorpus {
	t.Helper()
	c, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return c
}

func TestVectorsAreWrittenInBatchesAndResumed(t *testing.T) {
	config := database(t)
	ctx := t.Context()
	passages := handbook(3*batch + 10)
	corpus, m := newCorpus(t, passages), newModel(t, 1)
	s := open(t, config, m.Dim())
	quiet := func(int, int) {}
	count := func() (n int) {
		require.NoError(t, s.pool.QueryRow(ctx, "SELECT count(*) FROM passages").Scan(&n))
		return n
	}

	m.failAt = 2*batch + 1
	wrote, err := s.write(ctx, corpus, m, quiet)
	require.ErrorContains(t, err, "the power went")
	require.ErrorContains(t, err, "part512")
	require.Equal(t, 2*batch, wrote)
	require.Equal(t, 2*batch, count(), "whole batches only")
	_, err = s.vectors(ctx, corpus)
	require.ErrorContains(t, err, "512 of 778 passages")

	m.failAt = 0
	m.passages.Store(0)
	wrote, err = s.write(ctx, corpus, m, quiet)
	require.NoError(t, err)
	require.Equal(t, batch+10, wrote, "what is there already is not encoded again")
	require.Equal(t, int64(batch+10), m.passages.Load())
	require.Equal(t, len(passages), count())
	wrote, err = s.write(ctx, corpus, m, quiet)
	require.NoError(t, err)
	require.Zero(t, wrote)

	want, err := mine.NewDense(ctx, m, corpus, nil)
	require.NoError(t, err)
	got, err := s.vectors(ctx, corpus)
	require.NoError(t, err)
	require.Equal(t, want.Vectors().Data, got.Data, "float32 survives the way through the database")

	changed := slices.Clone(passages[1:])
	changed[4].Text += " And more."
	wrote, err = s.write(ctx, newCorpus(t, changed), m, quiet)
	require.NoError(t, err)
	require.Equal(t, 1, wrote)
	require.Equal(t, len(changed), count(), "a passage that the corpus lacks is removed")

	// Another model's vectors replace these, batch by batch, under the eyes of those who search.
	other := newModel(t, 2)
	stop, searched := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				searched <- nil
				return
			default:
			}
			hits, err := s.search(context.Background(), got.Data[:s.dim], k)
			if err != nil || len(hits) != k {
				searched <- fmt.Errorf("%d hits: %w", len(hits), err)
				return
			}
		}
	}()
	wrote, err = s.write(ctx, newCorpus(t, changed), other, quiet)
	close(stop)
	require.NoError(t, <-searched)
	require.NoError(t, err)
	require.Equal(t, len(changed), wrote)
	require.Equal(t, len(changed), count())
}

func TestSearchIsExactWithoutAnIndexAndNearlySoWithOne(t *testing.T) {
	config := database(t)
	corpus, m := newCorpus(t, handbook(300)), newModel(t, 1)
	s := open(t, config, m.Dim())
	_, err := s.write(t.Context(), corpus, m, func(int, int) {})
	require.NoError(t, err)
	dense, err := mine.NewDense(t.Context(), m, corpus, nil)
	require.NoError(t, err)
	queries, err := m.Encode(t.Context(), encoder.Query,
		[]string{"opens the valve", "spare pump", "limit of the pressure", "floor"})
	require.NoError(t, err)
	want, err := dense.SearchVectors(t.Context(), queries, k)
	require.NoError(t, err)
	shared := func() (n int) {
		for q := range queries.Rows {
			got, err := s.search(t.Context(), queries.Data[q*queries.Stride:][:s.dim], k)
			require.NoError(t, err)
			require.Len(t, got, k)
			for i, h := range want[q] {
				p, err := corpus.At(h.Index)
				require.NoError(t, err)
				if slices.ContainsFunc(got, func(g hit) bool { return g.ID == p.ID }) {
					n++
				}
				if i == 0 {
					require.InDelta(t, h.Score, got[0].Score, 1e-5)
				}
			}
		}
		return n
	}
	require.Equal(t, queries.Rows*k, shared())
	require.NoError(t, s.index(t.Context()))
	require.NoError(t, s.index(t.Context()), "twice is once")
	require.GreaterOrEqual(t, shared(), queries.Rows*k*9/10)
}

func TestAskedQueriesComeBackOnceTheLatestFirst(t *testing.T) {
	s := open(t, database(t), 4)
	for _, text := range []string{"open a file", "b'); DROP TABLE asked; --", "Open a file!", "…"} {
		require.NoError(t, s.ask(t.Context(), text))
	}
	queries, err := s.asked(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, queries, 2)
	require.Equal(t, "Open a file!", queries[0].Text)
	require.NotEqual(t, queries[0].ID, queries[1].ID)
}

func TestATableOfAnotherWidthIsRefused(t *testing.T) {
	config := database(t)
	open(t, config, 4)
	_, err := openStore(t.Context(), config, 5)
	require.ErrorContains(t, err, "vectors of 4 dimensions, the model makes 5")
}

func TestNoQueryFailsWhileTheEncoderIsSwapped(t *testing.T) {
	corpus := newCorpus(t, handbook(300))
	var out bytes.Buffer
	models := []*inMemory{}
	p := &program{
		config: database(t), corpus: corpus, queries: []string{"opens the valve", "spare pump", "limit of the pressure"},
		open: func(context.Context, bool) (model, error) {
			models = append(models, newModel(t, 3))
			return models[len(models)-1], nil
		},
		tune:  func(r *pipeline.Recipe) { r.KeepLast, r.Training = true, learning(0.01, 10) },
		after: 300 * time.Millisecond, rate: 400, out: &out, log: t.Logf,
		judged: &eval.Collection{
			Queries: []retort.Query{{ID: "q1", Text: "valve"}, {ID: "q2", Text: "pump"}},
			Qrels:   eval.Qrels{"q1": {"part001": 1}, "q2": {"part002": 1}},
		},
	}
	require.NoError(t, p.run(t.Context()))
	t.Log("\n" + out.String())
	require.Contains(t, out.String(), ", 0 failed\n")
	require.Contains(t, out.String(), "nDCG@10 on 2 judged queries")
	require.Regexp(t, `the encoder is swapped, and after +[1-9]\d* +0 +\d+ +[1-9]`, out.String())
	require.Len(t, models, 2)
	for _, m := range models {
		require.True(t, m.closed.Load())
	}
	require.LessOrEqual(t, models[1].passages.Load(), int64(corpus.Len()),
		"the trained model encodes held-out passages only")
}

func TestAFailedQueryIsCountedAndEndsInAnError(t *testing.T) {
	p := &program{
		config: database(t), corpus: newCorpus(t, handbook(300)), queries: []string{"valve"},
		tune: func(r *pipeline.Recipe) { r.KeepLast, r.TeacherCheck.Queries = true, -1 }, rate: 400, out: &bytes.Buffer{}, log: t.Logf,
	}
	p.open = func(_ context.Context, train bool) (model, error) {
		m := newModel(t, 3)
		if !train {
			return m, nil
		}
		return broken{m}, nil
	}
	p.after = 200 * time.Millisecond
	require.ErrorContains(t, p.run(t.Context()),
		"queries failed, the first one while the encoder is swapped, and after: cannot answer")
}

// broken learns but cannot answer a single query.
type broken struct{ *inMemory }

func (b broken) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	if role == encoder.Query && len(texts) == 1 {
		return blas32.General{}, errors.New("cannot answer")
	}
	return b.inMemory.Encode(ctx, role, texts)
}

func TestCancellingStopsTheProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{
		config: database(t), corpus: newCorpus(t, handbook(300)), queries: []string{"valve"}, rate: 400,
		out: &bytes.Buffer{}, log: t.Logf,
		open: func(context.Context, bool) (model, error) { return newModel(t, 3), nil },
		tune: func(r *pipeline.Recipe) { r.Training, r.KeepLast = learning(1e-4, 3000), true },
	}
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	time.Sleep(2 * time.Second)
	cancel()
	start := time.Now()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Less(t, time.Since(start), 2*time.Second)
}

// learning is a schedule of another rate and length.
func learning(lr float64, epochs int) pipeline.Training {
	t := pipeline.DefaultTraining(distill.QueryOnly)
	t.Schedule.LR, t.Schedule.Epochs = lr, epochs
	return t
}
