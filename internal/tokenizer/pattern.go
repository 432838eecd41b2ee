package tokenizer

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// The patterns that hand-written code matches in linear time. Their matches cover any text.
const (
	patternGPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

	patternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*` +
		`|\s*[\r\n]+|\s+(?!\S)|\s+`

	patternQwen2 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*` +
		`|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// expression finds the matches of a regular expression with lookahead.
type expression struct{ re *regexp2.Regexp }

func newExpression(pattern string) (expression, error) {
	if len(pattern) > maxPattern {
		return expression{}, fmt.Errorf("pattern %.60q... has %d bytes, the limit is %d", pattern, len(pattern), maxPattern)
	}
	re, err := regexp2.Compile(pattern, regexp2.None)
	if err != nil {
		return expression{}, fmt.Errorf("pattern %.200q: %w", pattern, err)
	}
	re.MatchTimeout = matchTime
	return expression{re}, nil
}

func (e expression) find(dst []span, text string) []span {
	at, chars := 0, 0 // the same place in bytes and in characters
	skip := func(to int) int {
		for ; chars < to; chars++ {
			_, n := utf8.DecodeRuneInString(text[at:])
			at += n
		}
		return at
	}
	end := time.Now().Add(matchTime + time.Duration(len(text))*timePerByte)
	m, err := e.re.FindStringMatch(text)
	for ; m != nil && err == nil; m, err = e.re.FindNextMatch(m) {
		if time.Now().After(end) {
			panic(slowPattern{e.re.String()})
		}
		start := skip(m.Index)
		if end := skip(m.Index + m.Length); start < end {
			dst = append(dst, span{start: start, end: end})
		}
	}
	if err != nil { // it is always the error of the time limit
		panic(slowPattern{e.re.String()})
	}
	return dst
}

// replaceAll replaces each match.
func (e expression) replaceAll(text, by string) string {
	matches := e.find(nil, text)
	if len(matches) == 0 {
		return text
	}
	var b strings.Builder
	done := 0
	for _, m := range matches {
		b.WriteString(text[done:m.start])
		b.WriteString(by)
		done = m.end
	}
	b.WriteString(text[done:])
	return b.String()
}

// The classes of characters in the patterns.
const (
	other  = iota
	letter // \p{L}
	number // \p{N}
	space  // \s
)

var asciiClass = func() (table [utf8.RuneSelf]uint8) {
	for r := range table {
		table[r] = classOf(rune(r))
	}
	return table
}()

func classOf(r rune) uint8 {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// classAt returns the class and the length of the first character of s; length 0 if s is empty.
func classAt(s string) (class uint8, n int) {
	if s == "" {
		return other, 0
	}
	if s[0] < utf8.RuneSelf {
		return asciiClass[s[0]], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return classOf(r), n
}

// runOf returns the length of the run of a class at the start of s, of at most limit characters.
func runOf(s string, class uint8, limit int) int {
	i := 0
	for ; limit > 0 && i < len(s); limit-- {
		c, n := classAt(s[i:])
		if c != class {
			break
		}
		i += n
	}
	return i
}

const noLimit = int(^uint(0) >> 1)

// nextGPT2 returns the length of patternGPT2's match at the start of s, which is not empty.
func nextGPT2(s string) int {
	if n := contraction(s, false); n > 0 {
		return n
	}
	blank := 0
	if s[0] == ' ' {
		blank = 1
	}
	if class, n := classAt(s[blank:]); n > 0 && class != space {
		return blank + runOf(s[blank:], class, noLimit)
	}
	return spaces(s)
}

func nextLlama3(s string) int { return nextModern(s, 3) }

func nextQwen2(s string) int { return nextModern(s, 1) }

// nextModern returns the length of the match of patternLlama3, or of patternQwen2 (one digit), at the start of s.
func nextModern(s string, digits int) int {
	if n := contraction(s, true); n > 0 {
		return n
	}
	class, n := classAt(s)
	switch class {
	case letter:
		return runOf(s, letter, noLimit)
	case number:
		return runOf(s, number, digits)
	}
	newline := s[0] == '\r' || s[0] == '\n'
	if letters := runOf(s[n:], letter, noLimit); letters > 0 && !newline {
		return n + letters
	}
	blank := 0
	if s[0] == ' ' {
		blank = 1
	}
	if signs := runOf(s[blank:], other, noLimit); signs > 0 {
		end := blank + signs
		return end + len(s[end:]) - len(strings.TrimLeft(s[end:], "\r\n"))
	}
	run := runOf(s, space, noLimit)
	if last := strings.LastIndexAny(s[:run], "\r\n"); last >= 0 {
		return last + 1
	}
	return spaces(s)
}

// spaces returns the length of the match of \s+(?!\S)|\s+: the last space before a word is left to the word.
func spaces(s string) int {
	run := runOf(s, space, noLimit)
	if run == len(s) {
		return run
	}
	if _, last := utf8.DecodeLastRuneInString(s[:run]); last < run {
		return run - last
	}
	return run
}

// contraction returns the length of 's, 't, 're, 've, 'm, 'll or 'd at the start of s; 0 if there is none.
func contraction(s string, fold bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	if fold && strings.HasPrefix(s[1:], "ſ") { // the long s folds to s
		return 1 + len("ſ")
	}
	a, b := s[1], byte(0)
	if len(s) > 2 {
		b = s[2]
	}
	if fold {
		a, b = lowerASCII(a), lowerASCII(b)
	}
	switch {
	case a == 's' || a == 't' || a == 'm' || a == 'd':
		return 2
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	}
	return 0
}

// finder appends the spans of a text that are matches, in order, not overlapping, not empty.
type finder interface {
	find(dst []span, text string) []span
}

type span struct {
	start, end int
	match      bool
}
