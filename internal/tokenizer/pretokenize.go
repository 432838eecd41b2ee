package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// piece is a part of the text that the model encodes separately.
type piece struct {
	text  string
	start bool // it begins the whole text
}

// preTokenizer splits a piece and appends its parts, which may be empty.
type preTokenizer interface {
	split(dst []piece, p piece) []piece
}

// byteLevel is Hugging Face's ByteLevel without its byte alphabet: the model works on bytes.
type byteLevel struct{ prefixSpace, pattern bool }

func (b byteLevel) split(dst []piece, p piece) []piece {
	if b.prefixSpace && !strings.HasPrefix(p.text, " ") {
		p.text = " " + p.text
	}
	if !b.pattern {
		return append(dst, p)
	}
	return splitEach(dst, p, nextGPT2)
}

// fastSplit cuts text into the matches of a pattern that hand-written code knows and whose matches cover any text.
type fastSplit struct{ next func(s string) int }

func (f fastSplit) split(dst []piece, p piece) []piece { return splitEach(dst, p, f.next) }

func splitEach(dst []piece, p piece, next func(s string) int) []piece {
	for s := p.text; s != ""; {
		n := next(s)
		dst = append(dst, piece{s[:n], p.start})
		s, p.start = s[n:], false
	}
	return dst
}

// splitAt is Hugging Face's Split.
type splitAt struct {
	finder   finder
	behavior string // removed, isolated, mergedWithPrevious, mergedWithNext, contiguous
	invert   bool   // the texts between the matches count as matches
}

var splitBehaviors = map[string]string{
	"Removed": "removed", "Isolated": "isolated", "MergedWithPrevious": "mergedWithPrevious",
	"MergedWithNext": "mergedWithNext", "Contiguous": "contiguous",
}

func (d splitAt) split(dst []piece, p piece) []piece {
	var spans []span // that cover the text
	done := 0
	for _, m := range d.finder.find(nil, p.text) {
		if done < m.start {
			spans = append(spans, span{done, m.start, d.invert})
		}
		spans = append(spans, span{m.start, m.end, !d.invert})
		done = m.end
	}
	if done < len(p.text) {
		spans = append(spans, span{done, len(p.text), d.invert})
	}
	for _, s := range d.arrange(spans) {
		dst = append(dst, piece{p.text[s.start:s.end], p.start && s.start == 0})
	}
	return dst
}

// arrange applies the behaviour to spans that cover a text.
func (d splitAt) arrange(spans []span) []span {
	var out []span
	for i, s := range spans {
		previous := i > 0 && spans[i-1].match
		join := false
		switch d.behavior {
		case "removed":
			if s.match {
				continue
			}
		case "mergedWithPrevious":
			join = s.match && i > 0 && !previous
		case "mergedWithNext":
			join = !s.match && previous
		case "contiguous":
			join = i > 0 && previous == s.match
		}
		if join {
			out[len(out)-1].end = s.end
			continue
		}
		out = append(out, s)
	}
	return out
}

// charClass finds the characters of a class, or with runs the runs of such characters.
type charClass struct {
	in   func(r rune) bool
	runs bool
}

func (c charClass) find(dst []span, text string) []span {
	for i, r := range text {
		if !c.in(r) {
			continue
		}
		end := i + utf8.RuneLen(r)
		if last := len(dst) - 1; c.runs && last >= 0 && dst[last].end == i {
			dst[last].end = end
			continue
		}
		dst = append(dst, span{start: i, end: end})
	}
	return dst
}

// isNumeric is Rust's char::is_numeric, the classes Nd, Nl and No, which Digits splits at.
func isNumeric(r rune) bool { return unicode.IsNumber(r) }

// isPunctuation is the class of Hugging Face's Punctuation: ASCII's and the class P.
func isPunctuation(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsPunct(r) || unicode.IsSymbol(r)) || unicode.IsPunct(r)
}

// digits is Hugging Face's Digits: it splits off runs of digits, or individual digits.
func digits(individual bool) splitAt {
	if individual {
		return splitAt{charClass{in: isNumeric}, "isolated", false}
	}
	return splitAt{charClass{in: isNumeric, runs: true}, "isolated", false}
}

// whitespaceSplit splits at white space and drops it.
var whitespaceSplit = splitAt{charClass{in: unicode.IsSpace, runs: true}, "removed", false}

// literal finds a string.
type literal string

func (l literal) find(dst []span, text string) []span {
	for done := 0; l != ""; {
		i := strings.Index(text[done:], string(l))
		if i < 0 {
			break
		}
		done += i + len(l)
		dst = append(dst, span{start: done - len(l), end: done})
	}
	return dst
}

// metaspace replaces spaces by the vocabulary's sign, adds a sign in front, and splits before each sign.
type metaspace struct {
	sign   string // "▁"
	prefix string // always, first (at the start of the text), never
	cut    bool
}

func (m metaspace) split(dst []piece, p piece) []piece {
	p.text = strings.ReplaceAll(p.text, " ", m.sign)
	wanted := m.prefix == "always" || m.prefix == "first" && p.start
	if wanted && !strings.HasPrefix(p.text, m.sign) {
		p.text = m.sign + p.text
	}
	if !m.cut {
		return append(dst, p)
	}
	return splitAt{literal(m.sign), "mergedWithNext", false}.split(dst, p)
}
