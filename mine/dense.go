package mine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/internal/parallel"
)

// Dense ranks passages by the inner product of their vectors with the query's vector, which is the cosine similarity
// unless the encoder returns unnormalised vectors (encoder.Normalizer). The search is exact. It is safe for concurrent
// use.
type Dense struct {
	encoder encoder.Encoder
	vectors blas32.General
	largest float32
	file    *npy.Mapped // mapped file of the vectors; nil if they are in memory
}

// NewDense encodes the Content of every passage. It calls progress, which may be nil, with the number of encoded
// passages after every 128 passages. An empty corpus is an error. Use [WriteVectors] and [OpenDense] for vectors that
// do not fit into memory.
func NewDense(
	ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, progress func(done, total int),
) (*Dense, error) {
	ctx = encoder.Alone(ctx)
	n := corpus.Len()
	vectors := matrix.New(n, enc.Dim())
	for start := 0; start < n; start += encodeBlock {
		texts, err := contents(corpus, start, min(start+encodeBlock, n))
		if err != nil {
			return nil, fmt.Errorf("dense: %w", err)
		}
		err = encodeInto(ctx, enc, encoder.Passage, texts, slab(vectors, start, len(texts)), func(done int) {
			if progress != nil {
				progress(start+done, n)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("dense: passages %d to %d: %w", start, start+len(texts)-1, err)
		}
	}
	return NewDenseVectors(enc, vectors)
}

// OpenDense returns a Dense over the vectors in a .npy file of float32, [n x d], row-major, in the order of the corpus,
// as written by [WriteVectors] and numpy.save. It maps the file into memory; on systems without memory mapping it reads
// the file. While it is open, the file may be replaced by a rename but must not shrink. The caller must call Close.
// Errors are the same as for [NewDenseVectors].
func OpenDense(enc encoder.Encoder, path string) (*Dense, error) {
	file, err := npy.Map(path)
	if err != nil {
		return nil, err
	}
	x, err := NewDenseVectors(enc, file.Matrix)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	x.file = file
	return x, nil
}

// Close unmaps the file of [OpenDense]. Neither x nor a matrix returned by Vectors may be used during or after Close.
// For any other Dense it does nothing.
func (x *Dense) Close() error {
	if x.file == nil {
		return nil
	}
	return x.file.Close()
}

// NewDenseVectors returns a Dense over existing vectors, [n x d], row-major, in the order of the corpus. It does not
// copy the vectors: do not change them afterwards. enc encodes the queries; it may be nil if only SearchVectors and
// Score are called. An empty matrix, values that are not finite and a width other than enc.Dim() are errors.
func NewDenseVectors(enc encoder.Encoder, vectors blas32.General) (*Dense, error) {
	if vectors.Rows == 0 {
		return nil, errors.New("dense: the corpus is empty")
	}
	largest, err := checkMatrix("passages", vectors)
	if err != nil {
		return nil, fmt.Errorf("dense: %w", err)
	}
	if enc != nil && vectors.Cols != enc.Dim() {
		return nil, fmt.Errorf("dense: passage vectors have %d dimensions, but the encoder returns %d", vectors.Cols,
			enc.Dim())
	}
	return &Dense{encoder: enc, vectors: vectors, largest: largest}, nil
}

// Len returns the number of passages.
func (x *Dense) Len() int { return x.vectors.Rows }

// Vectors returns the vectors of the passages [n x d]. The caller must not change them.
func (x *Dense) Vectors() blas32.General { return x.vectors }

// Search encodes the queries and returns the k best passages of each. k < 1 is an error.
func (x *Dense) Search(ctx context.Context, queries []retort.Query, k int) ([][]Hit, error) {
	if err := checkK(k); err != nil {
		return nil, fmt.Errorf("dense: %w", err)
	}
	vectors, err := x.EncodeQueries(ctx, queries)
	if err != nil {
		return nil, err
	}
	return x.SearchVectors(ctx, vectors, k)
}

// SearchVectors does the work of Search for encoded queries [n x d].
func (x *Dense) SearchVectors(ctx context.Context, queries blas32.General, k int) ([][]Hit, error) {
	if err := checkK(k); err != nil {
		return nil, fmt.Errorf("dense: %w", err)
	}
	if err := checkQueries(queries, x.vectors.Cols, x.largest); err != nil {
		return nil, fmt.Errorf("dense: %w", err)
	}
	return topK(ctx, queries, x.vectors, k)
}

// Score returns the score of an encoded query [d] for each passage in indices, equal to the scores of Search.
func (x *Dense) Score(query []float32, indices []int) ([]float64, error) {
	q := blas32.General{Rows: 1, Cols: len(query), Stride: len(query), Data: query}
	if err := checkQueries(q, x.vectors.Cols, x.largest); err != nil {
		return nil, fmt.Errorf("dense: %w", err)
	}
	scores := make([]float64, len(indices))
	var scratch products
	scratch.load(q)
	for j, i := range indices {
		if i < 0 || i >= x.vectors.Rows {
			return nil, fmt.Errorf("dense: passage index %d is out of range: the corpus has %d passages", i, x.vectors.Rows)
		}
		scores[j] = float64(scratch.of(slab(x.vectors, i, 1)).Data[0])
	}
	return scores, nil
}

// ScoreAll implements [Scorer].
func (x *Dense) ScoreAll(ctx context.Context, queries []retort.Query) (blas32.General, error) {
	vectors, err := x.EncodeQueries(ctx, queries)
	if err != nil {
		return blas32.General{}, err
	}
	if err := checkQueries(vectors, x.vectors.Cols, x.largest); err != nil {
		return blas32.General{}, fmt.Errorf("dense: %w", err)
	}
	all := matrix.New(len(queries), x.vectors.Rows)
	blocks := ceilDiv(x.vectors.Rows, passageBlock)
	scratch := make([]kernel.Packed, parallel.Workers(blocks))
	err = parallel.Each(ctx, blocks, func(worker, i int) error {
		block := slab(x.vectors, i*passageBlock, passageBlock)
		packed := &scratch[worker]
		packed.Load(block.Data, block.Stride, block.Rows, block.Cols)
		if len(queries) > 0 {
			packed.MulStrided(all.Data[i*passageBlock:], all.Stride, vectors.Data, vectors.Stride, len(queries))
		}
		return nil
	})
	if err != nil {
		return blas32.General{}, fmt.Errorf("dense: score: %w", err)
	}
	return all, nil
}

// EncodeQueries returns the vectors of the queries [n x d] for SearchVectors and Score.
func (x *Dense) EncodeQueries(ctx context.Context, queries []retort.Query) (blas32.General, error) {
	if x.encoder == nil {
		return blas32.General{}, errors.New("dense: no encoder for the queries: call SearchVectors with their vectors")
	}
	vectors := matrix.New(len(queries), x.vectors.Cols)
	for start := 0; start < len(queries); start += encodeBlock {
		block := queries[start:min(start+encodeBlock, len(queries))]
		texts := make([]string, len(block))
		for i, q := range block {
			texts[i] = q.Text
		}
		if err := encodeInto(ctx, x.encoder, encoder.Query, texts, slab(vectors, start, len(block)),
			func(int) {}); err != nil {
			return blas32.General{}, fmt.Errorf("dense: queries %d to %d: %w", start, start+len(block)-1, err)
		}
	}
	return vectors, nil
}

// Each block of encodeBlock texts is sorted by length and encoded in batches of encodeBatch texts: enough texts to fill
// the encoder's own batches, and few enough for frequent progress and a prompt end of ctx.
const (
	encodeBlock = 1024
	encodeBatch = 128
)

// encodeInto writes one vector per text to the rows of out. It calls progress with the number of encoded texts.
func encodeInto(
	ctx context.Context, enc encoder.Encoder, role encoder.Role, texts []string, out blas32.General,
	progress func(done int),
) error {
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(texts[a]), len(texts[b])) })
	batch := make([]string, 0, encodeBatch)
	for start := 0; start < len(order); start += encodeBatch {
		rows := order[start:min(start+encodeBatch, len(order))]
		batch = batch[:0]
		for _, row := range rows {
			batch = append(batch, texts[row])
		}
		vectors, err := encodeBatchOf(ctx, enc, role, batch, out.Cols)
		if err != nil {
			return err
		}
		for i, row := range rows {
			copy(matrix.Row(out, row), matrix.Row(vectors, i))
		}
		progress(start + len(rows))
	}
	return nil
}

// encodeBatchOf returns the encoder's vectors, checked.
func encodeBatchOf(
	ctx context.Context, enc encoder.Encoder, role encoder.Role, texts []string, dim int,
) (blas32.General, error) {
	if err := ctx.Err(); err != nil {
		return blas32.General{}, err
	}
	got, err := enc.Encode(ctx, role, texts)
	if err != nil {
		return blas32.General{}, err
	}
	if got.Rows != len(texts) || got.Cols != dim {
		return blas32.General{}, fmt.Errorf("the encoder returned a [%d x %d] matrix for %d texts of %d dimensions", got.Rows,
			got.Cols, len(texts), dim)
	}
	_, err = checkMatrix("vectors", got)
	return got, err
}

// contents returns the Content of the passages from, from+1, ... below to.
func contents(corpus retort.Corpus, from, to int) ([]string, error) {
	texts := make([]string, to-from)
	for i := range texts {
		p, err := corpus.At(from + i)
		if err != nil {
			return nil, err
		}
		texts[i] = p.Content()
	}
	return texts, nil
}
