package teacher

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
)

// FromEncoder returns a bi-encoder as a teacher: the score is the inner product of the vectors of query and passage, in
// [-1,1] if the vectors are normalised (encoder.Normalizer). It encodes a passage that is in several lists of a batch
// only once. If the encoder has a fingerprint, the teacher has one too, and it caches the vectors of passages, up to
// 256 MiB, until the encoder's weights change. The rounding of a passage's vector depends on the passages that are
// encoded with it. Use FromVectors if the scores must be reproducible to the bit.
func FromEncoder(enc encoder.Encoder) Teacher {
	return withEncoderFingerprint(enc, &biEncoder{enc: enc, remembered: vectorMemory{enc: enc}})
}

// FromVectors is FromEncoder with precomputed passage vectors: row i of vectors [corpus.Len() x enc.Dim()] is the
// vector of passage i. It encodes only queries, and passages that are not in the corpus with the same content. It does
// not copy the vectors: do not change them afterwards.
func FromVectors(enc encoder.Encoder, corpus retort.Corpus, vectors blas32.General) (Teacher, error) {
	if vectors.Rows != corpus.Len() || vectors.Cols != enc.Dim() {
		return nil, fmt.Errorf("vectors are [%d x %d], want [%d x %d] for this corpus and encoder",
			vectors.Rows, vectors.Cols, corpus.Len(), enc.Dim())
	}
	return withEncoderFingerprint(enc, &biEncoder{
		enc: enc, corpus: corpus, vectors: vectors, remembered: vectorMemory{enc: enc},
	}), nil
}

// WithFingerprint returns t with a fingerprint, for Cached. The fingerprint must cover everything that affects t's
// scores: weights, prompts, limits and, if the scores depend on it (BM25), the corpus.
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

// biEncoderLists is how many lists a bi-encoder likes to get at once: they share passages, and batches of many texts of
// about the same length have little padding.
const biEncoderLists = 64

type biEncoder struct {
	enc        encoder.Encoder
	corpus     retort.Corpus // nil: there are no vectors beforehand
	vectors    blas32.General
	remembered vectorMemory
}

func (b *biEncoder) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	for _, scored := range b.ScoreBatch(ctx, []Work{{q, passages}}) {
		return scored.Scores, scored.Err
	}
	return nil, ctx.Err()
}

func (b *biEncoder) BatchSize() int { return biEncoderLists }

// ScoreBatch encodes each passage once that is in several lists, and each query by itself: the last bits of a
// vector depend on the texts beside it, and a run that goes on after a kill has other queries beside them.
func (b *biEncoder) ScoreBatch(ctx context.Context, lists []Work) iter.Seq2[int, Scored] {
	return func(yield func(int, Scored) bool) {
		rows, failed, err := b.passageRows(ctx, lists)
		for i, work := range lists {
			scored := Scored{Err: cmp.Or(failed[i], err)}
			if scored.Err == nil {
				scored.Scores, scored.Err = b.score(ctx, work.Query, rows[i])
			}
			if !yield(i, scored) {
				return
			}
		}
	}
}

func (b *biEncoder) score(ctx context.Context, q retort.Query, rows [][]float32) ([]float64, error) {
	scores := make([]float64, len(rows))
	if len(rows) == 0 {
		return scores, nil
	}
	query, err := b.encode(ctx, encoder.Query, []string{q.Text})
	if err != nil {
		return nil, fmt.Errorf("encode the query: %w", err)
	}
	for j, row := range rows {
		scores[j] = matrix.Dot(matrix.Row(query, 0), row)
	}
	return scores, nil
}

// passageRows returns the vector of every passage of every list, and what is wrong with a list by itself.
func (b *biEncoder) passageRows(ctx context.Context, lists []Work) (rows [][][]float32, failed []error, err error) {
	rows, failed = make([][][]float32, len(lists)), make([]error, len(lists))
	fingerprint := b.remembered.begin()
	unknown := map[contentKey][]*[]float32{} // where the vectors of a content belong
	var keys []contentKey
	var texts []string
	for i, work := range lists {
		rows[i] = make([][]float32, len(work.Passages))
		for j, p := range work.Passages {
			row, err := b.held(p)
			if err != nil {
				failed[i] = err
				break
			}
			if rows[i][j] = row; row != nil {
				continue
			}
			text := p.Content()
			key := keyOf(text)
			if rows[i][j] = b.remembered.get(fingerprint, key); rows[i][j] != nil {
				continue
			}
			if unknown[key] == nil {
				keys, texts = append(keys, key), append(texts, text)
			}
			unknown[key] = append(unknown[key], &rows[i][j])
		}
	}
	if len(texts) == 0 {
		return rows, failed, nil
	}
	encoded, err := b.encode(ctx, encoder.Passage, texts)
	if err != nil {
		return nil, failed, fmt.Errorf("encode %d passages: %w", len(texts), err)
	}
	for n, key := range keys {
		row := matrix.Row(encoded, n)
		for _, at := range unknown[key] {
			*at = row
		}
		b.remembered.put(fingerprint, key, row)
	}
	return rows, failed, nil
}

// held returns the vector of a passage that the corpus holds with the same content, nil of another.
func (b *biEncoder) held(p retort.Passage) ([]float32, error) {
	if b.corpus == nil {
		return nil, nil
	}
	i, ok := b.corpus.Index(p.ID)
	if !ok {
		return nil, nil
	}
	held, err := b.corpus.At(i)
	if err != nil {
		return nil, fmt.Errorf("read passage %q: %w", p.ID, err)
	}
	if held.Content() != p.Content() {
		return nil, nil
	}
	return matrix.Row(b.vectors, i), nil
}

func (b *biEncoder) encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	m, err := b.enc.Encode(encoder.Alone(ctx), role, texts)
	if err != nil {
		return m, err
	}
	if m.Rows != len(texts) || m.Cols != b.enc.Dim() {
		return m, fmt.Errorf("the encoder gave a [%d x %d] matrix for %d texts of width %d", m.Rows, m.Cols, len(texts),
			b.enc.Dim())
	}
	return m, nil
}
