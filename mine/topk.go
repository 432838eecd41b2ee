package mine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/parallel"
)

// Sizes of the blocks of queries and passages, which fit into the processor's cache.
const (
	queryBlock   = 128
	passageBlock = 120
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
	shards := shardsFor(blocks, ceilDiv(min(rows, passages.Rows), passageBlock))
	found := make([]shard, blocks*shards)
	for i := range found {
		found[i] = newShard(min(queryBlock, queries.Rows-i/shards*queryBlock), k)
	}
	scratch := make([]products, parallel.Workers(len(found)))
	for start := 0; start < passages.Rows; start += rows {
		tiles := ceilDiv(min(rows, passages.Rows-start), passageBlock)
		err := parallel.Each(ctx, len(found), func(worker, i int) error {
			block, part := i/shards, i%shards
			from := start + part*tiles/shards*passageBlock
			to := min(start+(part+1)*tiles/shards*passageBlock, passages.Rows)
			scratch[worker].load(slab(queries, block*queryBlock, queryBlock))
			return scratch[worker].each(ctx, slab(passages, from, to-from), func(first int, scores blas32.General) {
				found[i].offer(from+first, scores)
			})
		})
		if err != nil {
			return nil, fmt.Errorf("dense top-k: %w", err)
		}
	}
	return mergeShards(found, queries.Rows, shards), nil
}

// shardsFor returns into how many parts passages of some tiles are split, so that each processor has work.
func shardsFor(queryBlocks, tiles int) int {
	return min(tiles, ceilDiv(runtime.GOMAXPROCS(0), queryBlocks))
}

func mergeShards(found []shard, queries, shards int) [][]Hit {
	rankings := make([][]Hit, queries)
	for q := range rankings {
		block := found[q/queryBlock*shards:][:shards]
		merged := &block[0].best[q%queryBlock]
		for _, other := range block[1:] {
			for _, h := range other.best[q%queryBlock].hits {
				merged.offer(h)
			}
		}
		rankings[q] = merged.ranked()
	}
	return rankings
}

// shard keeps the best passages of a part of the corpus for each query of a block.
type shard struct {
	best   []best
	floors []float32 // a score must exceed the query's: an equal one has a higher index, for passages come in order
}

func newShard(queries, k int) shard {
	s := shard{best: make([]best, queries), floors: make([]float32, queries)}
	for q := range s.best {
		s.best[q].k = k
		s.floors[q] = float32(math.Inf(-1))
	}
	return s
}

// offer offers the scores of consecutive passages [passages x queries].
func (s *shard) offer(first int, scores blas32.General) {
	for p := range scores.Rows {
		row := matrix.Row(scores, p)
		for q := kernel.FirstAbove(row, s.floors); q < len(row); q++ {
			s.best[q].offer(Hit{Index: first + p, Score: row[q]})
			if floor, full := s.best[q].floor(); full {
				s.floors[q] = floor
			}
			q += kernel.FirstAbove(row[q+1:], s.floors[q+1:])
		}
	}
}

// products multiplies passages with a block of queries, which it packs. Passages stay where they are.
type products struct {
	queries kernel.Packed
	scores  []float32
}

func (p *products) load(queries blas32.General) {
	p.queries.Load(queries.Data, queries.Stride, queries.Rows, queries.Cols)
}

// each calls yield with the scores of the passages first, first+1, ... [passages x queries], a block at a time.
func (p *products) each(
	ctx context.Context, passages blas32.General, yield func(first int, scores blas32.General),
) error {
	for first := 0; first < passages.Rows; first += passageBlock {
		if err := ctx.Err(); err != nil {
			return err
		}
		yield(first, p.of(slab(passages, first, passageBlock)))
	}
	return nil
}

// of returns the scores of at most passageBlock passages, until its next call.
func (p *products) of(passages blas32.General) blas32.General {
	n := p.queries.Out()
	if len(p.scores) < passageBlock*n {
		p.scores = make([]float32, passageBlock*n)
	}
	p.queries.MulStrided(p.scores, n, passages.Data, passages.Stride, passages.Rows)
	return blas32.General{Rows: passages.Rows, Cols: n, Stride: n, Data: p.scores}
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
