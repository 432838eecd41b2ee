package mine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/parallel"
)

// Sizes of the blocks of queries and passages, which fit into the processor's cache.
const (
	queryBlock   = 64
	passageBlock = 64
)

// TopK returns for each query [n x d] the k passages [m x d] with the largest inner products, best first, ties by
// ascending index; all passages if k > m. The search is exact, needs memory for n*k hits and a few blocks, and reads
// the passages once. Equal vectors have equal scores regardless of their position. k < 1, different widths and values
// that are not finite are errors.
func TopK(ctx context.Context, queries, passages blas32.General, k int) ([][]Hit, error) {
	if err := checkK(k); err != nil {
		return nil, fmt.Errorf("dense top-k: %w", err)
	}
	largest, err := checkMatrix("passages", passages)
	if err != nil {
		return nil, fmt.Errorf("dense top-k: %w", err)
	}
	if err := checkQueries(queries, passages.Cols, largest); err != nil {
		return nil, fmt.Errorf("dense top-k: %w", err)
	}
	return topK(ctx, queries, passages, k)
}

// checkQueries returns an error unless the queries are well formed and as wide as the passages and no inner product can
// overflow.
func checkQueries(queries blas32.General, d int, largestPassage float32) error {
	largest, err := checkMatrix("queries", queries)
	if err != nil {
		return err
	}
	if queries.Rows > 0 && queries.Cols != d {
		return fmt.Errorf("queries have %d dimensions, but passages have %d", queries.Cols, d)
	}
	if queries.Rows > 0 && d == 0 {
		return errors.New("vectors have no dimensions")
	}
	if float64(largest)*float64(largestPassage)*float64(d) > math.MaxFloat32 {
		return fmt.Errorf("inner products of queries up to %g and passages up to %g overflow; normalise the vectors", largest,
			largestPassage)
	}
	return nil
}

// slabBytes is the size of the part of the passage vectors that is multiplied with all queries before the next part, so
// that vectors on disk are read only once.
const slabBytes = 32 << 20

// topK processes slabs of passages one after another. It splits each slab into blocks of queries and, if there are
// fewer blocks than processors, shards of passages.
func topK(ctx context.Context, queries, passages blas32.General, k int) ([][]Hit, error) {
	k = min(k, passages.Rows)
	blocks := ceilDiv(queries.Rows, queryBlock)
	if blocks == 0 || k == 0 {
		return emptyRankings(queries.Rows), ctx.Err()
	}
	rows := max(1, slabBytes/(4*passages.Cols)/passageBlock) * passageBlock
	shards := min(ceilDiv(min(rows, passages.Rows), passageBlock), ceilDiv(runtime.GOMAXPROCS(0), blocks))
	found := make([][]best, blocks*shards)
	for i := range found {
		found[i] = make([]best, min(queryBlock, queries.Rows-i/shards*queryBlock))
		for q := range found[i] {
			found[i][q].k = k
		}
	}
	scratch := make([]products, parallel.Workers(len(found)))
	for start := 0; start < passages.Rows; start += rows {
		tiles := ceilDiv(min(rows, passages.Rows-start), passageBlock)
		err := parallel.Each(ctx, len(found), func(worker, i int) error {
			block, shard := i/shards, i%shards
			from := start + shard*tiles/shards*passageBlock
			to := min(start+(shard+1)*tiles/shards*passageBlock, passages.Rows)
			return scratch[worker].each(ctx, slab(queries, block*queryBlock, queryBlock), passages, from, to,
				func(q, first int, scores []float32) { offerAll(&found[i][q], first, scores) })
		})
		if err != nil {
			return nil, fmt.Errorf("dense top-k: %w", err)
		}
	}
	return mergeShards(found, queries.Rows, shards), nil
}

func mergeShards(found [][]best, queries, shards int) [][]Hit {
	rankings := make([][]Hit, queries)
	for q := range rankings {
		block := found[q/queryBlock*shards:][:shards]
		merged := &block[0][q%queryBlock]
		for _, other := range block[1:] {
			for _, h := range other[q%queryBlock].hits {
				merged.offer(h)
			}
		}
		rankings[q] = merged.ranked()
	}
	return rankings
}

// offerAll offers the scores of consecutive passages.
func offerAll(top *best, first int, scores []float32) {
	floor, full := top.floor()
	for j, s := range scores {
		if full && s <= floor {
			continue // an equal score has a higher index: passages come in ascending order
		}
		top.offer(Hit{Index: first + j, Score: s})
		floor, full = top.floor()
	}
}

// products multiplies a block of queries with passages. It first copies both into rows that begin at a multiple of 16
// bytes, because the order of summation in gonum's kernels, and so the result, depends on the address.
type products struct {
	queries, passages, scores []float32
}

// each calls yield with the scores of every query for the passages first, first+1, ..., a block at a time.
func (p *products) each(ctx context.Context, queries, passages blas32.General, from, to int,
	yield func(q, first int, scores []float32),
) error {
	width := ceilDiv(queries.Cols, 16) * 16
	if p.scores == nil {
		p.queries = make([]float32, queryBlock*width)
		p.passages = make([]float32, passageBlock*width)
		p.scores = make([]float32, queryBlock*passageBlock)
	}
	a := pack(p.queries, width, queries)
	for start := from; start < to; start += passageBlock {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := pack(p.passages, width, slab(passages, start, min(passageBlock, to-start)))
		c := blas32.General{Rows: a.Rows, Cols: b.Rows, Stride: passageBlock, Data: p.scores}
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, a, b, 0, c)
		for q := range a.Rows {
			yield(q, start, matrix.Row(c, q))
		}
	}
	return nil
}

// pack copies the rows of m to rows of the given width in buffer; the rest of each stays 0.
func pack(buffer []float32, width int, m blas32.General) blas32.General {
	for i := range m.Rows {
		copy(buffer[i*width:], matrix.Row(m, i))
	}
	return blas32.General{Rows: m.Rows, Cols: width, Stride: width, Data: buffer}
}

// slab returns a view of the n rows from start, or as many as there are.
func slab(m blas32.General, start, n int) blas32.General {
	n = min(n, m.Rows-start)
	return blas32.General{Rows: n, Cols: m.Cols, Stride: m.Stride, Data: m.Data[start*m.Stride:]}
}

func emptyRankings(n int) [][]Hit {
	rankings := make([][]Hit, n)
	for i := range rankings {
		rankings[i] = []Hit{}
	}
	return rankings
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
