package generate

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// random returns a source that depends on the seed and the names only.
func random(seed uint64, names ...string) *rand.Rand {
	sum := digest(seed, names...)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])))
}

// digest is SHA-256 over the seed and the names with their lengths.
func digest(seed uint64, names ...string) [sha256.Size]byte {
	h := sha256.New()
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], seed)
	h.Write(number[:])
	for _, name := range names {
		binary.LittleEndian.PutUint64(number[:], uint64(len(name)))
		h.Write(number[:])
		io.WriteString(h, name)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
