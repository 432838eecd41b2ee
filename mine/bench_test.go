package mine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/mine"
)

func BenchmarkEnglish(b *testing.B) {
	text := strings.Repeat("The aircraft's wings were vibrating violently in the boundary layers of hypersonic flows. ",
		20)
	a := mine.English()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		a.Terms(text)
	}
}

func BenchmarkBM25Build(b *testing.B) {
	corpus := corpusOf(b, randomTexts(1, 2000, 100)...)
	for b.Loop() {
		_, err := mine.NewBM25(context.Background(), corpus, mine.BM25Options{})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N*corpus.Len())/b.Elapsed().Seconds(), "passages/s")
}

func BenchmarkBM25Search(b *testing.B) {
	x := newBM25(b, mine.BM25Options{}, randomTexts(1, 10000, 100)...)
	queries := queriesOf(randomTexts(2, 100, 8)...)
	for b.Loop() {
		_, err := x.Search(context.Background(), queries, 100)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N*len(queries))/b.Elapsed().Seconds(), "queries/s")
}

func BenchmarkTopK(b *testing.B) {
	const n, m, d = 128, 20000, 384
	queries, passages := randomMatrix(1, n, d), randomMatrix(2, m, d)
	for b.Loop() {
		_, err := mine.TopK(context.Background(), queries, passages, 100)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "queries/s")
	b.ReportMetric(2*float64(b.N)*n*m*d/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
