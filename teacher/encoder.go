package teacher

import (
	"context"
	"fmt"
	"iter"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
)

// FromEncoder returns a bi-encoder as a teacher: the score is the inner product of the query's and the passage's vector,
// in [-1,1]. It encodes the passages at every call; FromVectors does not. The teacher has a fingerprint where the
// encoder has one.
func FromEncoder(enc encoder.Encoder) Teacher {
	return withEncoderFingerprint(enc, &biEncoder{enc: enc})
}

// FromVectors is FromEncoder for a corpus whose passages are encoded already: row i of vectors [corpus.Len() x enc.Dim()]
// is the vector of passage i. Only queries, and passages that the corpus does not hold with the same content, are
// encoded. The vectors are not copied: do not change them afterwards.
func FromVectors(enc encoder.Encoder, corpus retort.Corpus, vectors blas32.General) (Teacher, error) {
	if vectors.Rows != corpus.Len() || vectors.Cols != enc.Dim() {
		return nil, fmt.Errorf("vectors are [%d x %d], want [%d x %d] for this corpus and encoder",
			vectors.Rows, vectors.Cols, corpus.Len(), enc.Dim())
	}
	return withEncoderFingerprint(enc, &biEncoder{enc: enc, corpus: corpus, vectors: vectors}), nil
}

// WithFingerprint returns t with a fingerprint, so that Cached accepts it. The fingerprint must change whenever t's scores
// could: with its weights, prompts, limits and, where the scores depend on one (BM25), the corpus.
func WithFingerprint(t Teacher, fingerprint string) Teacher {
	return fingerprinted{Teacher: t, fingerprint: fingerprint}
}

type fingerprinted struct {
	Teacher
	fingerprint string
}

func (f fingerprinted) Fingerprint() string { return f.fingerprint }

func (f fingerprinted) BatchSize() int { return batchSize(f.Teacher) }

func (f fingerprinted) ScoreBatch(ctx context.Context, lists []Work) iter.Seq2[int, Scored] {
	if b, ok := f.Teacher.(BatchTeacher); ok {
		return b.ScoreBatch(ctx, lists)
	}
	return func(yield func(int, Scored) bool) {
		for i, work := range lists {
			if ctx.Err() != nil {
				return
			}
			scores, err := f.Score(ctx, work.Query, work.Passages)
			if !yield(i, Scored{Scores: scores, Err: err}) {
				return
			}
		}
	}
}

func withEncoderFingerprint(enc encoder.Encoder, t Teacher) Teacher {
	if f, ok := enc.(encoder.Fingerprinter); ok {
		return WithFingerprint(t, "bi-encoder "+f.Fingerprint())
	}
	return t
}

type biEncoder struct {
	enc     encoder.Encoder
	corpus  retort.Corpus // nil: every passage is encoded
	vectors blas32.General
}

func (b *biEncoder) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	if len(passages) == 0 {
		return []float64{}, nil
	}
	query, err := b.encode(ctx, encoder.Query, []string{q.Text})
	if err != nil {
		return nil, fmt.Errorf("encode the query: %w", err)
	}
	scores := make([]float64, len(passages))
	var unknown []int // indexes in passages
	var texts []string
	for i, p := range passages {
		row, ok, err := b.row(p)
		if err != nil {
			return nil, err
		}
		if ok {
			scores[i] = matrix.Dot(query.Data[:query.Cols], row)
			continue
		}
		unknown = append(unknown, i)
		texts = append(texts, p.Content())
	}
	if len(unknown) == 0 {
		return scores, nil
	}
	encoded, err := b.encode(ctx, encoder.Passage, texts)
	if err != nil {
		return nil, fmt.Errorf("encode %d passages: %w", len(texts), err)
	}
	for n, i := range unknown {
		scores[i] = matrix.Dot(query.Data[:query.Cols], encoded.Data[n*encoded.Stride:][:encoded.Cols])
	}
	return scores, nil
}

// row returns the vector of a passage that the corpus holds with the same content.
func (b *biEncoder) row(p retort.Passage) ([]float32, bool, error) {
	if b.corpus == nil {
		return nil, false, nil
	}
	i, ok := b.corpus.Index(p.ID)
	if !ok {
		return nil, false, nil
	}
	held, err := b.corpus.At(i)
	if err != nil {
		return nil, false, fmt.Errorf("read passage %q: %w", p.ID, err)
	}
	if held.Content() != p.Content() {
		return nil, false, nil
	}
	return matrix.Row(b.vectors, i), true, nil
}

func (b *biEncoder) encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	m, err := b.enc.Encode(ctx, role, texts)
	if err != nil {
		return m, err
	}
	if m.Rows != len(texts) || m.Cols != b.enc.Dim() {
		return m, fmt.Errorf("the encoder gave a [%d x %d] matrix for %d texts of width %d", m.Rows, m.Cols, len(texts), b.enc.Dim())
	}
	return m, nil
}
