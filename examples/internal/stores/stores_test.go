package stores

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/examples/service/live"
)

// model is the encoder for tests. It knows whether it is closed.
type model struct {
	*encodertest.Encoder
	closed bool
}

func newModel(t *testing.T, seed uint64) *model {
	e, err := encodertest.New(encodertest.Options{Seed: seed})
	require.NoError(t, err)
	return &model{Encoder: e}
}

func (m *model) Close() error {
	m.closed = true
	return nil
}

// memory is a store that finds the first k passages.
type memory struct {
	ids     []string
	vectors map[string][]float32
	err     error // of every search
}

func (m *memory) Count(context.Context) (int, error) { return len(m.ids), nil }

func (m *memory) Write(_ context.Context, passages []retort.Passage, vectors blas32.General) error {
	if m.vectors == nil {
		m.vectors = map[string][]float32{}
	}
	for i, p := range passages {
		if m.vectors[p.ID] == nil {
			m.ids = append(m.ids, p.ID)
		}
		m.vectors[p.ID] = vectors.Data[i*vectors.Stride:][:vectors.Cols]
	}
	return nil
}

func (m *memory) Vector(_ context.Context, id string) ([]float32, error) { return m.vectors[id], nil }

func (m *memory) Dense(_ context.Context, _ []float32, k int) ([]string, error) {
	return m.ids[:min(k, len(m.ids))], m.err
}

func (m *memory) Close() error { return nil }

func numbered(t *testing.T, n int) *retort.MemoryCorpus {
	passages := make([]retort.Passage, n)
	for i := range passages {
		passages[i] = retort.Passage{ID: fmt.Sprint(i), Text: fmt.Sprintf("passage %d", i)}
	}
	c, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return c
}

func TestFuseAddsReciprocalRanks(t *testing.T) {
	require.Equal(t, []string{"b", "a", "c", "d"}, fuse([]string{"a", "b"}, []string{"c", "b", "d"}),
		"b is second twice, a and c are first once, and a comes before c")
	require.Equal(t, []string{"a", "b"}, fuse([]string{"a", "b"}, nil))
	require.Empty(t, fuse())
}

func TestOnlyMissingPassagesAreWritten(t *testing.T) {
	m, corpus := newModel(t, 1), numbered(t, 600)
	for there, want := range map[int]int{0: 600, 256: 344, 300: 344, 599: 88, 600: 0} {
		s := &memory{}
		for i := range there {
			s.ids = append(s.ids, fmt.Sprint(i))
		}
		wrote, err := write(t.Context(), s, m, corpus)
		require.NoError(t, err)
		require.Equal(t, want, wrote, "%d are there", there)
	}
	_, err := write(t.Context(), &memory{ids: make([]string, 601)}, m, corpus)
	require.ErrorContains(t, err, "601 passages, the corpus 600")
}

func TestAStrangerIsClosedAndDoesNotAnswer(t *testing.T) {
	first, corpus := newModel(t, 1), numbered(t, 10)
	s := &search{store: &memory{}, encoder: live.New(first)}
	_, err := write(t.Context(), s.store, first, corpus)
	require.NoError(t, err)
	stranger := newModel(t, 2)
	require.ErrorContains(t, s.swap(t.Context(), stranger, corpus), "differs from the stored vector")
	require.True(t, stranger.closed)
	a, err := s.ask(t.Context(), "passage")
	require.NoError(t, err)
	require.Equal(t, 1, a.generation)

	require.NoError(t, s.swap(t.Context(), newModel(t, 1), corpus))
	require.True(t, first.closed)
	a, err = s.ask(t.Context(), "passage")
	require.NoError(t, err)
	require.Equal(t, 2, a.generation)
}

func TestUsersCountFailures(t *testing.T) {
	broken := &memory{ids: []string{"a"}, err: errors.New("the disk is gone")}
	s := &search{store: broken, encoder: live.New(newModel(t, 1))}
	u := &users{search: s, queries: []retort.Query{{ID: "q", Text: "passage"}}}
	u.start(t.Context())()
	require.GreaterOrEqual(t, u.failed, usersAtOnce)
	require.Empty(t, u.answered)
	require.EqualError(t, u.first, `query "q": dense search: the disk is gone`)
	s.store = &memory{}
	_, err := s.ask(t.Context(), "passage")
	require.ErrorContains(t, err, "no passages")
}

func TestEachCorpusAndModelHasItsIndex(t *testing.T) {
	names := map[string]bool{}
	for _, n := range []int{2, 3} {
		for _, m := range []encoder.Fingerprinter{newModel(t, 1), newModel(t, 2)} {
			name, err := indexName(numbered(t, n), m.Fingerprint())
			require.NoError(t, err)
			require.Regexp(t, `^retort_[0-9a-f]{16}$`, name)
			names[name] = true
		}
	}
	require.Len(t, names, 4)
}
