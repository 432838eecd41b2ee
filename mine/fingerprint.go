package mine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
)

// Fingerprint implements [encoder.Fingerprinter]: it returns a hash of the terms, the postings and their impacts, and
// so of the corpus, K1 and B. It covers the type of the analyzer and the analyzer's fingerprint if it has one. It does
// not depend on whether the index is on disk. It reads the whole index. After Close it returns "".
func (x *BM25) Fingerprint() string {
	x.open.RLock()
	defer x.open.RUnlock()
	if x.closed {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "bm25 %d %T %q\n", x.Len(), x.analyzer, fingerprintOf(x.analyzer))
	var pairs []byte
	for entry := range x.index.all() {
		fmt.Fprintf(h, "%q %d\n", entry.term, entry.df)
		p, idf := newPostings(entry.df, entry.data), x.idf(entry.df)
		for range entry.df {
			p.advance()
			pairs = binary.LittleEndian.AppendUint32(pairs, p.passage)
			pairs = binary.LittleEndian.AppendUint32(pairs, math.Float32bits(impact(idf, p.tf, x.norms[p.passage])))
			if len(pairs) > 1<<15 {
				h.Write(pairs)
				pairs = pairs[:0]
			}
		}
		h.Write(pairs)
		pairs = pairs[:0]
	}
	return fmt.Sprintf("bm25:%x", h.Sum(nil))
}

// Fingerprint implements [encoder.Fingerprinter]: it returns a hash of the vectors, the encoder's type, and the
// encoder's fingerprint if it has one. It reads all vectors.
func (x *Dense) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "dense %d %d %T %q\n", x.vectors.Rows, x.vectors.Cols, x.encoder, fingerprintOf(x.encoder))
	for i := range x.vectors.Rows {
		writeFloats(h, matrix.Row(x.vectors, i))
	}
	return fmt.Sprintf("dense:%x", h.Sum(nil))
}

// Fingerprint implements [encoder.Fingerprinter]: it returns a hash of the fingerprints of the rankers.
func (f *ZScoreFusion) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "z-score %d\n", f.depth)
	for _, r := range f.rankers {
		fmt.Fprintf(h, "%T %q\n", r, fingerprintOf(r))
	}
	return fmt.Sprintf("z-score:%x", h.Sum(nil))
}

// fingerprintOf returns the fingerprint of v, or "" if v has none.
func fingerprintOf(v any) string {
	if f, ok := v.(encoder.Fingerprinter); ok {
		return f.Fingerprint()
	}
	return ""
}

func writeFloats(h hash.Hash, row []float32) {
	var b bytes.Buffer
	b.Grow(4 * len(row))
	for _, v := range row {
		b.Write(binary.LittleEndian.AppendUint32(b.AvailableBuffer(), math.Float32bits(v)))
	}
	h.Write(b.Bytes())
}
