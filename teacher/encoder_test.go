package teacher

import (
	"context"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// letters is an encoder by hand: how often "a" and "b" occur, normalised; a query is read backwards, which turns the
// vector.
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

func TestFromEncoderEncodesASharedPassageOnce(t *testing.T) {
	count := new(atomic.Int64)
	biEncoder := FromEncoder(printedLetters{letters{count}})
	lists := []Work{
		{retort.Query{ID: "1", Text: "aab"}, passages("a", "ab", "b")},
		{retort.Query{ID: "2", Text: "b"}, passages("ab", "abb")},
		{retort.Query{ID: "3", Text: "ba"}, nil},
	}
	for range 2 {
		n := 0
		for i, scored := range biEncoder.(BatchTeacher).ScoreBatch(t.Context(), lists) {
			require.NoError(t, scored.Err)
			want, err := FromEncoder(letters{}).Score(t.Context(), lists[i].Query, lists[i].Passages)
			require.NoError(t, err)
			require.Equal(t, want, scored.Scores)
			n++
		}
		require.Len(t, lists, n)
		require.EqualValues(t, 4, count.Load(), "ab is in two lists, and the second round is remembered")
	}
	_, err := biEncoder.Score(t.Context(), lists[0].Query, []retort.Passage{{ID: "pa", Text: "a changed"}})
	require.NoError(t, err)
	require.EqualValues(t, 5, count.Load(), "what is remembered is the content, not the id")
}

func TestABiEncoderThatForgetsScoresTheSame(t *testing.T) {
	count := new(atomic.Int64)
	enc := printedLetters{letters{count}}
	b := &biEncoder{enc: enc, remembered: vectorMemory{enc: enc, bytes: 2 * 8}}
	list := passages("a", "ab", "b", "abb", "aab")
	want, err := FromEncoder(letters{}).Score(t.Context(), retort.Query{Text: "aab"}, list)
	require.NoError(t, err)
	for range 3 {
		got, err := b.Score(t.Context(), retort.Query{Text: "aab"}, list)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.LessOrEqual(t, len(b.remembered.known), 2)
	}
	require.Greater(t, count.Load(), int64(5))
}

// learning is an encoder whose weights change.
type learning struct {
	letters
	fingerprint string
}

func (l *learning) Fingerprint() string { return l.fingerprint }

// crowd is an encoder whose vectors depend on how many texts are encoded at once, as rounding does.
type crowd struct{ letters }

func (c crowd) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	m, err := c.letters.Encode(ctx, role, texts)
	for i := range m.Data {
		m.Data[i] *= float32(len(texts))
	}
	return m, err
}

func TestOfKnownVectorsAScoreDoesNotDependOnTheListsBeside(t *testing.T) {
	corpus, err := retort.NewCorpus(passages("a", "ab", "b"))
	require.NoError(t, err)
	vectors, err := letters{}.Encode(t.Context(), encoder.Passage, []string{"a", "ab", "b"})
	require.NoError(t, err)
	b, err := FromVectors(crowd{}, corpus, vectors)
	require.NoError(t, err)
	lists := []Work{{retort.Query{ID: "1", Text: "aab"}, passages("a", "ab", "b")}, {retort.Query{ID: "2", Text: "b"}, passages("ab")}}
	for i, scored := range b.(BatchTeacher).ScoreBatch(t.Context(), lists) {
		require.NoError(t, scored.Err)
		alone, err := b.Score(t.Context(), lists[i].Query, lists[i].Passages)
		require.NoError(t, err)
		require.Equal(t, alone, scored.Scores)
	}
}

func TestABiEncoderForgetsWhatAnEncoderWithOtherWeightsSaid(t *testing.T) {
	count := new(atomic.Int64)
	enc := &learning{letters{count}, "before"}
	b := FromEncoder(enc)
	list := passages("a", "ab")
	for _, step := range []struct {
		fingerprint string
		encoded     int64
	}{{"before", 2}, {"before", 2}, {"after", 4}, {"after", 4}, {"", 6}, {"", 8}} {
		enc.fingerprint = step.fingerprint
		_, err := b.Score(t.Context(), retort.Query{Text: "aab"}, list)
		require.NoError(t, err)
		require.Equal(t, step.encoded, count.Load(), "%+v", step)
	}
}

func TestABiEncoderServesManyAtOnce(t *testing.T) {
	b := FromEncoder(printedLetters{})
	list := passages("a", "ab", "b")
	want, err := b.Score(t.Context(), retort.Query{Text: "aab"}, list)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			got, err := b.Score(context.Background(), retort.Query{Text: "aab"}, list)
			assert.NoError(t, err)
			assert.Equal(t, want, got)
		}()
	}
	wg.Wait()
}
