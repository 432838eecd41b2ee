package teacher_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/teacher"
)

// lengths scores passage i of a corpus by i and the query's length.
type lengths struct{ err error }

func (l lengths) Score(query string, indices []int) ([]float64, error) {
	scores := make([]float64, len(indices))
	for j, i := range indices {
		scores[j] = float64(10*i + len(query))
	}
	return scores, l.err
}

type fingerprintedLengths struct{ lengths }

func (fingerprintedLengths) Fingerprint() string { return "lengths 1" }

func TestFromIndexScoresPassagesByTheirPlaceInTheCorpus(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "x"}, {ID: "b", Text: "y"}, {ID: "c", Text: "z"}})
	require.NoError(t, err)
	ctx := context.Background()
	q := retort.Query{ID: "q", Text: "abcd"}
	passages := []retort.Passage{{ID: "c", Text: "z"}, {ID: "a", Text: "x"}}

	scores, err := teacher.Score(ctx, teacher.FromIndex(corpus, lengths{}), q, passages)
	require.NoError(t, err)
	require.Equal(t, []float64{24, 4}, scores)

	_, err = teacher.Score(ctx, teacher.FromIndex(corpus, lengths{}), q, []retort.Passage{{ID: "d", Text: "w"}})
	require.ErrorContains(t, err, `passage "d" is not in the corpus`)

	broken := errors.New("disk gone")
	_, err = teacher.Score(ctx, teacher.FromIndex(corpus, lengths{broken}), q, passages)
	require.ErrorIs(t, err, broken)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = teacher.Score(ended, teacher.FromIndex(corpus, lengths{}), q, passages)
	require.ErrorIs(t, err, context.Canceled)
}

func TestFromIndexHasAFingerprintWhereTheRankerHas(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "x"}})
	require.NoError(t, err)
	_, has := teacher.FromIndex(corpus, lengths{}).(encoder.Fingerprinter)
	require.False(t, has)
	f, has := teacher.FromIndex(corpus, fingerprintedLengths{}).(encoder.Fingerprinter)
	require.True(t, has)
	require.Equal(t, "index lengths 1", f.Fingerprint())
}
