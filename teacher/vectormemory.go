package teacher

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/retort-ir/retort/encoder"
)

// rememberedBytes is what a bi-encoder remembers: 175,000 vectors of 384 numbers.
const rememberedBytes = 256 << 20

// contentKey identifies a passage's content.
type contentKey [sha256.Size]byte

func keyOf(content string) contentKey { return sha256.Sum256([]byte(content)) }

// vectorMemory holds an encoder's vectors of passages, as long as its fingerprint, and so its weights, stay what they
// are; of an encoder without one, nothing. When it is full it forgets them all, which costs little: what is needed
// again is remembered again. It is safe for concurrent use.
type vectorMemory struct {
	enc   encoder.Encoder
	bytes int // the most; 0: rememberedBytes
	mu    sync.Mutex
	of    string // the fingerprint
	known map[contentKey][]float32
}

// begin returns the fingerprint for get and put, and forgets what an earlier one knew.
func (m *vectorMemory) begin() (fingerprint string) {
	f, ok := m.enc.(encoder.Fingerprinter)
	if !ok {
		return ""
	}
	fingerprint = f.Fingerprint()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of != fingerprint || m.known == nil {
		m.of, m.known = fingerprint, map[contentKey][]float32{}
	}
	return fingerprint
}

// get returns nil of what is not known.
func (m *vectorMemory) get(fingerprint string, key contentKey) []float32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if fingerprint == "" || m.of != fingerprint {
		return nil
	}
	return m.known[key]
}

// put keeps a copy: a row would hold its whole matrix.
func (m *vectorMemory) put(fingerprint string, key contentKey, row []float32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if fingerprint == "" || m.of != fingerprint {
		return
	}
	if (len(m.known)+1)*4*len(row) > cmp.Or(m.bytes, rememberedBytes) {
		clear(m.known)
	}
	m.known[key] = slices.Clone(row)
}
