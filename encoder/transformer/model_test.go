package transformer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/torch"
)

func openModel(t testing.TB, dir string, o Options) *Model {
	t.Helper()
	m, err := Open(context.Background(), dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// eachEngine runs a test with LibTorch, where the program has it, and in pure Go.
func eachEngine(t *testing.T, test func(t *testing.T, open func(dir string, o Options) *Model)) {
	if torch.Available {
		t.Run("LibTorch", func(t *testing.T) {
			test(t, func(dir string, o Options) *Model { return openModel(t, dir, o) })
		})
	}
	t.Run("pure Go", func(t *testing.T) {
		test(t, func(dir string, o Options) *Model { return openPure(t, dir, o) })
	})
}

// openPure opens a model that computes in pure Go, whether or not the program has LibTorch.
func openPure(t testing.TB, dir string, o Options) *Model {
	t.Helper()
	f, err := ReadFolder(dir, o)
	require.NoError(t, err)
	m, err := openInGo(t.Context(), f, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func TestOpenTellsTheLoggerWhatTheFolderSaysInVain(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		write(t, dir, sentenceTransformersJSON,
			`{"prompts":{"passage":"passage: "}}`)
	})
	var log bytes.Buffer
	openModel(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.Equal(t, 1, strings.Count(log.String(), "which neither queries nor passages use"), log.String())
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
}

// golden is what testdata/make_golden.py wrote.
type golden struct {
	Query, Passage struct {
		Texts      []string
		Embeddings [][]float32
	}
	Upstream [][]float32
}

func readModelGolden(t *testing.T, name string) golden {
	t.Helper()
	var g golden
	readGolden(t, "testdata/"+name+".json", &g)
	return g
}

// The reference is sentence-transformers 6.2 on PyTorch 2.15.
func TestEmbeddingsEqualSentenceTransformers(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-cls", "tiny-router"} {
		for _, budget := range []int{0, 30} {
			t.Run(fmt.Sprintf("%s, budget %d", name, budget), func(t *testing.T) {
				g := readModelGolden(t, name)
				eachEngine(t, func(t *testing.T, open func(string, Options) *Model) {
					m := open(filepath.Join("testdata", name), Options{BatchTokens: budget})
					requireRows(t, g.Query.Embeddings, encode(t, m, encoder.Query, g.Query.Texts))
					requireRows(t, g.Passage.Embeddings, encode(t, m, encoder.Passage, g.Passage.Texts))
				})
			})
		}
	}
}

// RETORT_MODEL=DIR takes a real model in place of the tiny one.
func BenchmarkModelEncode(b *testing.B) {
	dir := os.Getenv("RETORT_MODEL")
	if dir == "" {
		dir = "testdata/tiny"
	}
	m := openModel(b, dir, Options{})
	texts := make([]string, 64)
	for i := range texts {
		texts[i] = "Shutdown gracefully shuts down the server without interrupting any active connections. " +
			"It works by first closing all open listeners, then closing all idle connections, and then waiting."
	}
	in, err := m.Prepare(b.Context(), encoder.Passage, texts)
	require.NoError(b, err)
	tokens := 0
	for i := range texts {
		tokens += in.Tokens(i)
	}
	start, n := time.Now(), 0
	for b.Loop() {
		_, err := m.Encode(b.Context(), encoder.Passage, texts)
		require.NoError(b, err)
		n += tokens
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "tokens/s")
}

func encode(t *testing.T, m *Model, role encoder.Role, texts []string) blas32.General {
	t.Helper()
	rows, err := m.Encode(t.Context(), role, texts)
	require.NoError(t, err)
	return rows
}

func requireRows(t *testing.T, want [][]float32, got blas32.General) {
	t.Helper()
	require.Equal(t, len(want), got.Rows)
	for i, row := range want {
		require.InDeltaSlice(t, row, matrix.Row(got, i), 1e-5, "row %d", i)
	}
}

func rowsOf(m blas32.General) [][]float32 {
	rows := make([][]float32, m.Rows)
	for i := range rows {
		rows[i] = matrix.Row(m, i)
	}
	return rows
}
