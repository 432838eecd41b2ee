package tokenizer

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// model turns one piece of text into ids.
type model interface {
	appendIDs(dst []int32, piece string, s *scratch) []int32
}

// scratch holds the buffers of one run over a text.
type scratch struct {
	pieces, next []piece
	merger       merger
	lattice      []arc
}

// arc is the last token of the best segmentation up to a place.
type arc struct {
	score float64
	start int32 // -1: no segmentation ends here
	id    int32
}

// wordCache remembers the ids of words. Each word has one slot, which the last word takes, so that the cache is bounded
// and needs no lock.
type wordCache struct {
	seed  maphash.Seed
	words [1 << 14]atomic.Pointer[cachedWord]
}

type cachedWord struct {
	word string
	ids  []int32
}

const maxCachedWord = 48 // bytes; longer words hardly recur

func newWordCache() *wordCache { return &wordCache{seed: maphash.MakeSeed()} }

// get returns the ids of a word (nil: not cached) and its slot (-1: the word is too long).
func (c *wordCache) get(word string) (ids []int32, slot int) {
	if len(word) > maxCachedWord {
		return nil, -1
	}
	slot = int(maphash.String(c.seed, word) % uint64(len(c.words)))
	if w := c.words[slot].Load(); w != nil && w.word == word {
		return w.ids, slot
	}
	return nil, slot
}

func (c *wordCache) put(slot int, word string, ids []int32) {
	if slot >= 0 && len(ids) > 0 {
		c.words[slot].Store(&cachedWord{strings.Clone(word), append([]int32(nil), ids...)})
	}
}

// byteAlphabet is GPT-2's mapping of bytes to characters: the visible characters of Latin-1 map to themselves, all
// other bytes to U+0100 and up, in order.
var byteAlphabet = func() (alphabet [256]rune) {
	next := rune(256)
	for b := range alphabet {
		if r := rune(b); '!' <= r && r <= '~' || '¡' <= r && r <= '¬' || '®' <= r && r <= 'ÿ' {
			alphabet[b] = r
			continue
		}
		alphabet[b] = next
		next++
	}
	return alphabet
}()

var byteOfRune = func() map[rune]byte {
	m := make(map[rune]byte, 256)
	for b, r := range byteAlphabet {
		m[r] = byte(b)
	}
	return m
}()

// fromByteAlphabet returns the bytes of a token in the byte alphabet; not ok if the token has other characters.
func fromByteAlphabet(token string) (raw string, ok bool) {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := byteOfRune[r]
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return string(out), true
}

// byteIDs returns the ids of the 256 bytes by their names; -1 for a byte that the vocabulary lacks.
func byteIDs(ids map[string]int32, name func(b byte) string) (out [256]int32, missing int) {
	for b := range out {
		id, ok := ids[name(byte(b))]
		if !ok {
			id = -1
			missing++
		}
		out[b] = id
	}
	return out, missing
}

func alphabetName(b byte) string { return string(byteAlphabet[b]) }

func fallbackName(b byte) string { return fmt.Sprintf("<0x%02X>", b) }
