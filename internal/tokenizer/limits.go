package tokenizer

import (
	"fmt"
	"time"
)

// The bounds of a tokenizer.json, far beyond the largest of today. They keep a hostile file from taking all memory or
// endless time.
const (
	maxID      = 1 << 21 // and at most the bytes of the file, which has some bytes a token
	maxToken   = 4096    // bytes
	maxNesting = 8       // of Sequences
	maxStages  = 100     // normalizers or pre-tokenizers
	maxContent = 128     // bytes of a normalizer's replacement
)

// The bounds of a pattern that comes with a model, far beyond the patterns of real tokenizers. The time of a
// backtracking pattern, such as (a+)+$, doubles with each letter.
const (
	maxPattern  = 64 << 10 // bytes
	matchTime   = 5 * time.Second
	timePerByte = 5 * time.Microsecond // beyond matchTime, for all matches of a text
)

// maxGrowth bounds how many times longer normalizers may make a text. Unicode's forms stay far below; each Replace of a
// chain can double the text.
const maxGrowth = 64

// growth is the panic of normalizeAtStart, which guard recovers.
type growth int

func (g growth) Error() string {
	return fmt.Sprintf("the tokenizer's normalizers make a text %d times as long; the limit is %d: take another tokenizer",
		g, maxGrowth)
}

// slowPattern is the panic of find, which guard recovers: the stages between them have no other errors.
type slowPattern struct{ pattern string }

func (e slowPattern) Error() string {
	return fmt.Sprintf("the tokenizer's pattern %.200q takes longer than %v on a text, since it backtracks; "+
		"take another tokenizer", e.pattern, matchTime)
}

// guard calls do and returns the slowPattern or growth of a panic.
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
