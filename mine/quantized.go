package mine

import (
	"context"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/parallel"
)

// Precision is how [Quantized] keeps a vector [d].
type Precision string

// The precisions, from the largest vectors to the smallest.
const (
	Float16 Precision = "float16" // IEEE 754 binary16: 2d bytes
	Int8    Precision = "int8"    // whole numbers from -127 to 127 and their scale, a float32: d + 4 bytes
	Binary  Precision = "binary"  // signs: d/8 bytes
)

// Precisions returns all precisions, from the largest vectors to the smallest.
func Precisions() []Precision { return []Precision{Float16, Int8, Binary} }

// Quantized searches like [Dense], in smaller copies of the vectors: it finds more candidates by them than it returns,
// four times as many for [Binary] and twice as many for the others, and ranks these by the float32 vectors of the Dense.
// So the scores are exact, and a passage is missed only if it is not among the candidates. The memory holds the small
// vectors. The float32 vectors, which [OpenDense] leaves in their file, are read only where they are candidates'.
// Quantized is safe for concurrent use.
type Quantized struct {
	dense      *Dense
	codes      codes
	multiplier int // candidates for each passage that a search returns
}

// codes are vectors in some precision.
type codes interface {
	// scorer returns a function that computes the scores of n passages from first [n x queries], which hold until its
	// next call. n is at most passageBlock. Only the order of a query's scores has a meaning.
	scorer(queries blas32.General) func(first, n int) blas32.General
	bytes() int
}

// Quantize copies the vectors to a smaller precision, one at a time. It fails if a number exceeds [Float16]'s range, or
// the precision is unknown. The vectors of x must stay open as long as the result is in use.
func (x *Dense) Quantize(p Precision) (*Quantized, error) {
	var c codes
	var err error
	multiplier := 2
	switch p {
	case Float16:
		c, err = newHalves(x.vectors)
	case Int8:
		c = newInt8Codes(x.vectors)
	case Binary:
		c, multiplier = newSignCodes(x.vectors), 4
	default:
		err = fmt.Errorf("precision %q is unknown, want one of %q", p, Precisions())
	}
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	return &Quantized{dense: x, codes: c, multiplier: multiplier}, nil
}

// Bytes returns the memory of the small vectors.
func (x *Quantized) Bytes() int { return x.codes.bytes() }

// Search implements [Retriever]. Errors are the same as for [Dense.Search].
func (x *Quantized) Search(ctx context.Context, queries []retort.Query, k int) ([][]Hit, error) {
	if err := checkK(k); err != nil {
		return nil, fmt.Errorf("quantized: %w", err)
	}
	vectors, err := x.dense.EncodeQueries(ctx, queries)
	if err != nil {
		return nil, err
	}
	return x.SearchVectors(ctx, vectors, k)
}

// SearchVectors does the work of Search for encoded queries [n x d].
func (x *Quantized) SearchVectors(ctx context.Context, queries blas32.General, k int) ([][]Hit, error) {
	if err := checkK(k); err != nil {
		return nil, fmt.Errorf("quantized: %w", err)
	}
	if err := checkQueries(queries, x.dense.vectors.Cols, x.dense.largest); err != nil {
		return nil, fmt.Errorf("quantized: %w", err)
	}
	candidates := x.dense.Len()
	if k < candidates/x.multiplier {
		candidates = k * x.multiplier
	}
	found, err := x.candidates(ctx, queries, candidates)
	if err != nil {
		return nil, err
	}
	err = parallel.Each(ctx, len(found), func(_, q int) error {
		var err error
		found[q], err = x.rescore(matrix.Row(queries, q), found[q], k)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("quantized: %w", err)
	}
	return found, nil
}

// candidates returns the k best passages of each query by the small vectors.
func (x *Quantized) candidates(ctx context.Context, queries blas32.General, k int) ([][]Hit, error) {
	blocks := ceilDiv(queries.Rows, queryBlock)
	if blocks == 0 {
		return emptyRankings(0), ctx.Err()
	}
	passages := x.dense.Len()
	tiles := ceilDiv(passages, passageBlock)
	shards := shardsFor(blocks, tiles)
	found := make([]shard, blocks*shards)
	err := parallel.Each(ctx, len(found), func(_, i int) error {
		block, part := i/shards, i%shards
		some := slab(queries, block*queryBlock, queryBlock)
		found[i] = newShard(some.Rows, k)
		score := x.codes.scorer(some)
		end := min((part+1)*tiles/shards*passageBlock, passages)
		for first := part * tiles / shards * passageBlock; first < end; first += passageBlock {
			if err := ctx.Err(); err != nil {
				return err
			}
			found[i].offer(first, score(first, min(passageBlock, end-first)))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("quantized: %w", err)
	}
	return mergeShards(found, queries.Rows, shards), nil
}

// rescore returns the k candidates with the largest inner products in float32, best first.
func (x *Quantized) rescore(query []float32, candidates []Hit, k int) ([]Hit, error) {
	indices := make([]int, len(candidates))
	for i, h := range candidates {
		indices[i] = h.Index
	}
	slices.Sort(indices) // so that the vectors' file is read forwards
	scores, err := x.dense.Score(query, indices)
	if err != nil {
		return nil, err
	}
	top := best{k: k}
	for i, index := range indices {
		top.offer(Hit{Index: index, Score: float32(scores[i])})
	}
	return top.ranked(), nil
}
