package static

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/hub"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/parallel"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// Options override the settings of a model folder. The zero value uses the folder's settings.
type Options struct {
	// QueryPrompt and PassagePrompt are prepended to every text of the role, with no space between; nil uses the
	// folder's.
	QueryPrompt, PassagePrompt *string
	// QueryTokens and PassageTokens limit the length of a text in tokens, the prompt included; 0 uses the limit of
	// tokenizer.json, which may have none.
	QueryTokens, PassageTokens int
	// TruncateDim is the number of leading values that a vector keeps, at most all; 0 uses the folder's truncate_dim.
	TruncateDim int
	// Logger receives messages from Open about settings of the folder that have no effect, and about downloads; nil logs
	// nothing.
	Logger *slog.Logger
}

// Model is a table of embeddings with its tokenizer. It is safe for concurrent use.
type Model struct {
	table       []float32 // [rows x width]
	rows, width int
	mapping     []int32   // the row of each token; nil: its id
	factors     []float32 // of each token; nil: 1
	tokenizer   *tokenizer.Tokenizer
	prompts     [2]string // by role
	limits      [2]int    // of tokens, by role; 0: none
	cutsLeft    bool      // a text that is too long loses its beginning
	normalizes  bool      // the folder's last module is Normalize
	cosine      bool      // passages are ranked by cosine
	dim         int

	fingerprint func() string
}

var (
	_ encoder.Encoder       = (*Model)(nil)
	_ encoder.Normalizer    = (*Model)(nil)
	_ encoder.Fingerprinter = (*Model)(nil)
)

// Open reads a model folder. dir is a folder, or the name of a repository on the Hugging Face hub, such as
// minishlab/potion-base-8M, as for transformer.Open.
func Open(ctx context.Context, dir string, o Options) (*Model, error) {
	dir, err := hub.Resolve(ctx, dir, o.Logger)
	if err != nil {
		return nil, err
	}
	m := &Model{}
	if err := m.read(dir, o); err != nil {
		return nil, err
	}
	m.fingerprint = sync.OnceValue(m.digest)
	return m, nil
}

// Close does nothing; it is there for callers that close encoders of any kind.
func (m *Model) Close() error { return nil }

// Dim returns the width of the vectors.
func (m *Model) Dim() int { return m.dim }

// Normalized reports whether vectors have L2 norm 1, but for those of texts without tokens, which are zero.
func (m *Model) Normalized() bool { return m.cosine || m.normalizes && m.dim == m.width }

// Encode returns one row per text, [len(texts) x Dim], L2-normalised unless Normalized returns false. The row of a text
// without tokens is zero, as in sentence-transformers. Encode checks ctx between texts.
func (m *Model) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	out := matrix.New(len(texts), m.dim)
	err := m.each(ctx, role, texts, func(i int, ids []int32, _ bool) { m.embed(matrix.Row(out, i), ids) })
	if err != nil {
		return blas32.General{}, err
	}
	return out, nil
}

// CountTruncated returns the number of texts that Encode truncates in the given role, because they have more tokens than
// limit; limit is 0 if there is none.
func (m *Model) CountTruncated(ctx context.Context, role encoder.Role, texts []string) (cut, limit int, err error) {
	var n atomic.Int64
	err = m.each(ctx, role, texts, func(_ int, _ []int32, isCut bool) {
		if isCut {
			n.Add(1)
		}
	})
	if err != nil {
		return 0, 0, err
	}
	return int(n.Load()), m.limits[role], nil
}

// each tokenises the texts and calls use from several goroutines.
func (m *Model) each(ctx context.Context, role encoder.Role, texts []string, use func(i int, ids []int32, cut bool)) error {
	if role != encoder.Query && role != encoder.Passage {
		return fmt.Errorf("static: role %d is neither query nor passage", role)
	}
	return parallel.Each(ctx, len(texts), func(_, i int) error {
		ids, err := m.tokenizer.EncodeWithSpecials(m.prompts[role] + texts[i])
		if err != nil {
			return fmt.Errorf("static: text %.60q: %w", texts[i], err)
		}
		limit := m.limits[role]
		isCut := limit > 0 && len(ids) > limit
		switch {
		case isCut && m.cutsLeft:
			ids = ids[len(ids)-limit:]
		case isCut:
			ids = ids[:limit]
		}
		use(i, ids, isCut)
		return nil
	})
}

// embed sets row to the embedding of a text's tokens.
func (m *Model) embed(row []float32, ids []int32) {
	if len(ids) == 0 {
		return
	}
	sums := make([]float64, m.width)
	for _, id := range ids {
		factor, at := 1.0, int(id)
		if m.factors != nil {
			factor = float64(m.factors[id])
		}
		if m.mapping != nil {
			at = int(m.mapping[id])
		}
		for j, v := range m.table[at*m.width : (at+1)*m.width] {
			sums[j] += factor * float64(v)
		}
	}
	for j := range sums {
		sums[j] /= float64(len(ids))
	}
	if m.normalizes && !m.cosine {
		normalize(sums) // whole vectors, of which some values are then dropped
	}
	sums = sums[:m.dim]
	if m.cosine {
		normalize(sums)
	}
	for j, v := range sums {
		row[j] = float32(v)
	}
}

// normalize divides a vector by its L2 norm. The floor is the one in torch.nn.functional.normalize.
func normalize(v []float64) {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	norm := max(math.Sqrt(sum), 1e-12)
	for i := range v {
		v[i] /= norm
	}
}

// Fingerprint returns a digest of the table, tokenizer, prompts and limits. It is computed once.
func (m *Model) Fingerprint() string { return m.fingerprint() }

func (m *Model) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "retort static 1 %q %v %t %s %d %d %t %t\n", m.prompts, m.limits, m.cutsLeft, m.tokenizer.Fingerprint(),
		m.width, m.dim, m.normalizes, m.cosine)
	for _, values := range []any{m.table, m.mapping, m.factors} {
		fmt.Fprintf(h, "%d\n", binary.Size(values))
		_ = binary.Write(h, binary.LittleEndian, values) // writing to a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}
