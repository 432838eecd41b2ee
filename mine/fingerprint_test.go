package mine_test

import (
	"context"
	"testing"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/mine"
	"github.com/stretchr/testify/require"
)

// named is an encoder with a fingerprint.
type named struct {
	wordHash
	name string
}

func (n named) Fingerprint() string { return n.name }

func TestFingerprintsDifferWhereScoresCan(t *testing.T) {
	bm25 := func(o mine.BM25Options, texts ...string) mine.Scorer { return newBM25(t, o, texts...) }
	dense := func(enc encoder.Encoder, values ...float32) mine.Scorer {
		x, err := mine.NewDenseVectors(enc, matrix(2, 2, values...))
		require.NoError(t, err)
		return x
	}
	fusion := func(depth int, rankers ...mine.Scorer) mine.Scorer {
		f, err := mine.NewZScoreFusion(depth, rankers...)
		require.NoError(t, err)
		return f
	}
	words := bm25(mine.BM25Options{}, "cat", "dog")
	vectors := dense(named{wordHash{2}, "one"}, 1, 0, 0, 1)
	all := map[string]mine.Scorer{
		"bm25":                 words,
		"bm25, other k1":       bm25(mine.BM25Options{K1: 1.2, B: .75}, "cat cat", "dog"),
		"bm25, other texts":    bm25(mine.BM25Options{}, "cat", "cow"),
		"bm25, other order":    bm25(mine.BM25Options{}, "dog", "cat"),
		"bm25, other analyzer": bm25(mine.BM25Options{Analyzer: mine.Code()}, "cat", "dog"),
		"dense":                vectors,
		"dense, other encoder": dense(named{wordHash{2}, "two"}, 1, 0, 0, 1),
		"dense, other vectors": dense(named{wordHash{2}, "one"}, 1, 0, 1, 0),
		"dense, no encoder":    dense(nil, 1, 0, 0, 1),
		"fusion":               fusion(100, words, vectors),
		"fusion, other depth":  fusion(10, words, vectors),
		"fusion, other ranker": fusion(100, words),
	}
	seen := map[string]string{}
	for name, s := range all {
		print := s.(encoder.Fingerprinter).Fingerprint()
		require.NotContains(t, seen, print, "%s and %s", name, seen[print])
		seen[print] = name
	}
	again := bm25(mine.BM25Options{}, "cat", "dog")
	require.Equal(t, words.(encoder.Fingerprinter).Fingerprint(), again.(encoder.Fingerprinter).Fingerprint())
	_, err := again.ScoreAll(context.Background(), queriesOf("cat"))
	require.NoError(t, err)
	require.Equal(t, words.(encoder.Fingerprinter).Fingerprint(), again.(encoder.Fingerprinter).Fingerprint())
}
