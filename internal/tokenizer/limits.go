package tokenizer

import (
	"fmt"
	"time"
)

// The bounds of a tokenizer.json, which are far beyond the largest of today. They keep a wrong one from asking for all
// memory, or for time without end.
const (
	maxID      = 1 << 21 // and at most the bytes of the file, which has some bytes a token
	maxToken   = 4096    // bytes
	maxNesting = 8       // of Sequences
	maxStages  = 100     // normalizers or pre-tokenizers
	maxContent = 128     // bytes that a normalizer puts in place of something
)

// The bounds of a pattern that comes with a model. Patterns of real tokenizers have some hundred bytes and take less
// than a microsecond a byte. A backtracking one, such as (a+)+$, takes twice as long for each further letter.
const (
	maxPattern  = 64 << 10 // bytes
	matchTime   = 5 * time.Second
	timePerByte = 5 * time.Microsecond // beyond matchTime, for all matches of a text
)

// maxGrowth is how many times as long a text may become. Unicode's forms make one of 3 bytes 33 bytes at most; a chain
// of Replaces doubles it with each.
const maxGrowth = 64

// growth is what normalizeAtStart panics with and guard recovers.
type growth int

func (g growth) Error() string {
	return fmt.Sprintf("the tokenizer's normalizers make a text %d times as long; the limit is %d: take another tokenizer",
		g, maxGrowth)
}

// slowPattern is what find panics with and guard recovers: between them lie stages that cannot fail otherwise.
type slowPattern struct{ pattern string }

func (e slowPattern) Error() string {
	return fmt.Sprintf("the tokenizer's pattern %.200q takes longer than %v on a text, since it tries the same place in "+
		"many ways; take another tokenizer", e.pattern, matchTime)
}

// guard calls do and returns the pattern that took too long, or how much a text grew.
func guard(do func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case slowPattern:
			err = p
		case growth:
			err = p
		default:
			panic(p)
		}
	}()
	do()
	return nil
}
