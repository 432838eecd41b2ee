package mine_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/mine"
)

// vectorSearch is what Dense and Quantized have in common.
type vectorSearch interface {
	SearchVectors(ctx context.Context, queries blas32.General, k int) ([][]mine.Hit, error)
}

// eachPrecision runs the benchmark for float32 and then for each smaller precision, with the size of a vector.
func eachPrecision(b *testing.B, dense *mine.Dense, f func(b *testing.B, index vectorSearch)) {
	vectors := dense.Vectors()
	b.Run("float32", func(b *testing.B) {
		f(b, dense)
		b.ReportMetric(float64(4*vectors.Cols), "B/vector")
	})
	for _, p := range mine.Precisions() {
		b.Run(string(p), func(b *testing.B) {
			quantized, err := dense.Quantize(p)
			require.NoError(b, err)
			f(b, quantized)
			b.ReportMetric(float64(quantized.Bytes()/vectors.Rows), "B/vector")
		})
	}
}

func BenchmarkPrecisionSpeed(b *testing.B) {
	const passages, d, k = 100_000, 384, 100
	dense, err := mine.NewDenseVectors(nil, clustered(1, passages, d))
	require.NoError(b, err)
	for _, n := range []int{1, 1000} {
		queries := clustered(2, n, d)
		b.Run("queries="+strconv.Itoa(n), func(b *testing.B) {
			eachPrecision(b, dense, func(b *testing.B, index vectorSearch) {
				for b.Loop() {
					_, err := index.SearchVectors(b.Context(), queries, k)
					require.NoError(b, err)
				}
				searched := float64(b.N) * float64(n)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/searched/passages, "ns/pair")
				b.ReportMetric(searched/b.Elapsed().Seconds(), "queries/s")
			})
		})
	}
}

// BenchmarkPrecisionQuality compares searches for 10 passages by their nDCG@10, and for 10 and 100 by the share of the
// exact search's passages that they find.
func BenchmarkPrecisionQuality(b *testing.B) {
	model, root := os.Getenv("RETORT_MODEL"), os.Getenv("RETORT_COLLECTIONS")
	if model == "" || root == "" {
		b.Skip("set RETORT_MODEL to a model folder and RETORT_COLLECTIONS to a folder with scifact and nfcorpus")
	}
	enc, err := transformer.Open(b.Context(), model, transformer.Options{})
	require.NoError(b, err)
	defer enc.Close()
	for _, name := range []string{"scifact", "nfcorpus"} {
		corpus, err := retort.LoadCorpus(filepath.Join(root, name, "corpus.jsonl"))
		require.NoError(b, err)
		queries, qrels := loadTestQueries(b, filepath.Join(root, name))
		dense, err := mine.NewDense(b.Context(), enc, corpus, nil)
		require.NoError(b, err)
		vectors, err := dense.EncodeQueries(b.Context(), queries)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			eachPrecision(b, dense, func(b *testing.B, index vectorSearch) {
				for _, k := range []int{10, 100} {
					want, err := dense.SearchVectors(b.Context(), vectors, k)
					require.NoError(b, err)
					got, err := index.SearchVectors(b.Context(), vectors, k)
					require.NoError(b, err)
					b.ReportMetric(recall(want, got), "recall@"+strconv.Itoa(k))
					if k > 10 {
						continue
					}
					ndcg := 0.0
					for q, query := range queries {
						of, _ := measure(corpus, got[q], qrels[query.ID])
						ndcg += of / float64(len(queries))
					}
					b.ReportMetric(ndcg, "nDCG@10")
				}
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}
