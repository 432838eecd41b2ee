package teacher

import (
	"context"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// letters is an encoder by hand: how often "a" and "b" occur, normalised; a query is read backwards, which turns the vector.
type letters struct{ passages *atomic.Int64 }

func (letters) Dim() int { return 2 }

func (l letters) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	m := blas32.General{Rows: len(texts), Cols: 2, Stride: 2, Data: make([]float32, 2*len(texts))}
	if role == encoder.Passage && l.passages != nil {
		l.passages.Add(int64(len(texts)))
	}
	for i, text := range texts {
		a, b := float64(strings.Count(text, "a")), float64(strings.Count(text, "b"))
		if role == encoder.Query {
			a, b = b, a
		}
		norm := math.Hypot(a, b)
		m.Data[2*i], m.Data[2*i+1] = float32(a/norm), float32(b/norm)
	}
	return m, ctx.Err()
}

type printedLetters struct{ letters }

func (printedLetters) Fingerprint() string { return "letters 1" }

func TestFromEncoderIsTheInnerProductByRole(t *testing.T) {
	scores, err := FromEncoder(letters{}).Score(t.Context(), retort.Query{Text: "aaab"}, []retort.Passage{
		{ID: "1", Title: "b", Text: "bba"}, // title and text are read as one
		{ID: "2", Text: "a"},
	})
	require.NoError(t, err)
	// The query is (1,3)/sqrt 10, the passages (1,3)/sqrt 10 and (1,0).
	require.InDeltaSlice(t, []float64{1, 1 / math.Sqrt(10)}, scores, 1e-6)
}

func TestFromEncoderHasAFingerprintWhereTheEncoderHas(t *testing.T) {
	_, ok := FromEncoder(letters{}).(encoder.Fingerprinter)
	require.False(t, ok)
	f, ok := FromEncoder(printedLetters{}).(encoder.Fingerprinter)
	require.True(t, ok)
	require.Contains(t, f.Fingerprint(), "letters 1")
}

func TestFromEncoderOfNoPassages(t *testing.T) {
	scores, err := FromEncoder(letters{}).Score(t.Context(), retort.Query{Text: "a"}, nil)
	require.NoError(t, err)
	require.Empty(t, scores)
}

func TestFromVectorsEncodesOnlyWhatTheCorpusLacks(t *testing.T) {
	corpus, err := retort.NewCorpus(passages("a", "ab", "b"))
	require.NoError(t, err)
	count := new(atomic.Int64)
	enc := letters{count}
	vectors, err := enc.Encode(t.Context(), encoder.Passage, []string{"a", "ab", "b"})
	require.NoError(t, err)
	count.Store(0)

	known, err := FromVectors(enc, corpus, vectors)
	require.NoError(t, err)
	list := []retort.Passage{{ID: "pb", Text: "b"}, {ID: "elsewhere", Text: "abb"}, {ID: "pa", Text: "changed to b"}, {ID: "pab", Text: "ab"}}
	q := retort.Query{Text: "aab"}
	got, err := known.Score(t.Context(), q, list)
	require.NoError(t, err)
	require.EqualValues(t, 2, count.Load())
	want, err := FromEncoder(enc).Score(t.Context(), q, list)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestFromVectorsRefusesAMatrixOfAnotherShape(t *testing.T) {
	corpus, err := retort.NewCorpus(passages("a", "b"))
	require.NoError(t, err)
	_, err = FromVectors(letters{}, corpus, blas32.General{Rows: 2, Cols: 3, Stride: 3, Data: make([]float32, 6)})
	require.ErrorContains(t, err, "vectors are [2 x 3], want [2 x 2]")
}

func TestFromEncoderStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := FromEncoder(letters{}).Score(ctx, retort.Query{Text: "a"}, passages("a"))
	require.ErrorIs(t, err, context.Canceled)
}
