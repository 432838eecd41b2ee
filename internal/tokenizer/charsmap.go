package tokenizer

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// charsmap is sentencepiece's precompiled normalisation: a double array (darts-clone) from text to its replacement.
// As in Hugging Face's package, a grapheme cluster of less than six bytes is looked up whole, then its characters.
// The shortest entry that is a prefix of the key replaces the whole key.
type charsmap struct {
	units []uint32
	texts string // each ends with a zero byte
}

func newCharsmap(data []byte) (normalizer, error) {
	if len(data) == 0 {
		return chain(nil), nil
	}
	if len(data) < 4 {
		return nil, fmt.Errorf("has %d bytes, want at least 4", len(data))
	}
	size := binary.LittleEndian.Uint32(data)
	if size%4 != 0 || size == 0 || uint64(size) > uint64(len(data)-4) {
		return nil, fmt.Errorf("says that its trie has %d bytes, but only %d bytes follow", size, len(data)-4)
	}
	m := &charsmap{units: make([]uint32, size/4), texts: string(data[4+size:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4+4*i:])
	}
	for text := range strings.SplitSeq(m.texts, "\x00") {
		if len(text) > maxContent {
			return nil, fmt.Errorf("has a replacement of %d bytes, the limit is %d", len(text), maxContent)
		}
	}
	return m, nil
}

func (m *charsmap) normalize(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for state := -1; s != ""; {
		var cluster string
		cluster, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		if by, ok := m.lookUp(cluster); ok && len(cluster) < 6 {
			b.WriteString(by)
			continue
		}
		for cluster != "" {
			_, n := utf8.DecodeRuneInString(cluster)
			by, ok := m.lookUp(cluster[:n])
			if !ok {
				by = cluster[:n]
			}
			b.WriteString(by)
			cluster = cluster[n:]
		}
	}
	return b.String()
}

// lookUp returns the replacement of the shortest entry that is a prefix of key. It stops where a damaged trie points
// outside itself.
func (m *charsmap) lookUp(key string) (string, bool) {
	pos := offsetOf(m.units[0])
	for i := 0; i < len(key) && key[i] != 0; i++ {
		pos ^= uint32(key[i])
		if int64(pos) >= int64(len(m.units)) {
			return "", false
		}
		unit := m.units[pos]
		if unit&(1<<31|0xff) != uint32(key[i]) {
			return "", false
		}
		pos ^= offsetOf(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if int64(pos) >= int64(len(m.units)) {
			return "", false
		}
		return m.textAt(m.units[pos] & (1<<31 - 1))
	}
	return "", false
}

func offsetOf(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

func (m *charsmap) textAt(start uint32) (string, bool) {
	if int64(start) > int64(len(m.texts)) {
		return "", false
	}
	text, _, _ := strings.Cut(m.texts[start:], "\x00")
	return text, true
}
