package mine_test

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"
)

// corpusOf returns a corpus of the texts, with ids p0, p1, ...
func corpusOf(t testing.TB, texts ...string) *retort.MemoryCorpus {
	t.Helper()
	passages := make([]retort.Passage, len(texts))
	for i, text := range texts {
		passages[i] = retort.Passage{ID: "p" + strconv.Itoa(i), Text: text}
	}
	c, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return c
}

// queriesOf returns queries with ids q0, q1, ...
func queriesOf(texts ...string) []retort.Query {
	queries := make([]retort.Query, len(texts))
	for i, text := range texts {
		queries[i] = retort.Query{ID: "q" + strconv.Itoa(i), Text: text}
	}
	return queries
}

// randomTexts returns n texts of words that are rare and common in turn, as in a language.
func randomTexts(seed uint64, n, words int) []string {
	r := rand.New(rand.NewPCG(seed, 1))
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		for range 1 + r.IntN(2*words) {
			b.WriteString("w" + strconv.Itoa(int(math.Exp(r.Float64()*9))) + " ")
		}
		texts[i] = b.String()
	}
	return texts
}

// wordHash is an encoder that adds up one random direction a word.
type wordHash struct{ dim int }

func (e wordHash) Dim() int { return e.dim }

func (e wordHash) Encode(ctx context.Context, _ encoder.Role, texts []string) (blas32.General, error) {
	m := matrix(len(texts), e.dim)
	for i, text := range texts {
		row := m.Data[i*e.dim : (i+1)*e.dim]
		for _, word := range strings.Fields(text) {
			h := fnv.New64a()
			h.Write([]byte(word))
			r := rand.New(rand.NewPCG(h.Sum64(), 0))
			for j := range row {
				row[j] += float32(r.NormFloat64())
			}
		}
		var norm float64
		for _, v := range row {
			norm += float64(v) * float64(v)
		}
		for j := range row {
			row[j] /= float32(math.Sqrt(max(norm, 1e-9)))
		}
	}
	return m, ctx.Err()
}

// brokenEncoder says that its vectors are as wide as dim, and returns what made is.
type brokenEncoder struct {
	dim  int
	made blas32.General
	err  error
}

func (e brokenEncoder) Dim() int { return e.dim }

func (e brokenEncoder) Encode(context.Context, encoder.Role, []string) (blas32.General, error) {
	return e.made, e.err
}

// brokenCorpus has passages that cannot be read.
type brokenCorpus struct{ retort.Corpus }

var errUnreadable = errors.New("unreadable")

func (brokenCorpus) At(int) (retort.Passage, error) { return retort.Passage{}, errUnreadable }

func matrix(rows, cols int, values ...float32) blas32.General {
	if values == nil {
		values = make([]float32, rows*cols)
	}
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: values}
}

func randomMatrix(seed uint64, rows, cols int) blas32.General {
	r := rand.New(rand.NewPCG(seed, 2))
	m := matrix(rows, cols)
	for i := range m.Data {
		m.Data[i] = float32(r.NormFloat64())
	}
	return m
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// withProcs runs the test body on so many processors.
func withProcs(t *testing.T, n int, body func()) {
	t.Helper()
	before := runtime.GOMAXPROCS(n)
	defer runtime.GOMAXPROCS(before)
	body()
}

func indices(ranking []mine.Hit) []int {
	is := make([]int, len(ranking))
	for i, h := range ranking {
		is[i] = h.Index
	}
	return is
}
