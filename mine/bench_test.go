package mine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

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

// What TopK multiplies with, gonum's kernel, against the plain loop that it could be written as in Go: four passages at
// a time, one accumulator each.
func BenchmarkProducts(b *testing.B) {
	const n, m, d = 32, 64, 384
	queries, passages, scores := randomMatrix(1, n, d), randomMatrix(2, m, d), matrix(n, m)
	report := func(b *testing.B) {
		b.ReportMetric(2*float64(b.N)*n*m*d/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	}
	b.Run("gonum", func(b *testing.B) {
		for b.Loop() {
			blas32.Gemm(blas.NoTrans, blas.Trans, 1, queries, passages, 0, scores)
		}
		report(b)
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			for q := range n {
				row := queries.Data[q*d : (q+1)*d]
				for p := 0; p < m; p += 4 {
					fourProducts(row, passages.Data[p*d:], scores.Data[q*m+p:])
				}
			}
		}
		report(b)
	})
}

func fourProducts(q, p, out []float32) {
	d := len(q)
	a, b, c, e := p[:d], p[d:][:d], p[2*d:][:d], p[3*d:][:d]
	var s, t, u, v float32
	for i, x := range q {
		s += x * a[i]
		t += x * b[i]
		u += x * c[i]
		v += x * e[i]
	}
	out[0], out[1], out[2], out[3] = s, t, u, v
}
