package chattemplate

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tag is a piece of a template: text, or the tokens of {{ }} or {% %}.
type tag struct {
	open   string // "" for text, "{{" or "{%"
	text   string
	tokens []token
	line   int
}

type token struct {
	kind byte   // n(ame), i(nteger), s(tring), o(perator); 0 is the end
	text string // of a string, its value
}

// space are the characters that Python's str.strip removes and its \s matches.
const space = "\t\n\v\f\r\x1c\x1d\x1e\x1f \u0085\u00a0\u1680\u2000\u2001\u2002\u2003" +
	"\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

var (
	opening  = regexp.MustCompile(`\{[{%#][-+]?`)
	closings = map[string]*regexp.Regexp{
		"{{": regexp.MustCompile(`^-?\}\}`), "{%": regexp.MustCompile(`^[-+]?%\}`), "{#": regexp.MustCompile(`[-+]?#\}`),
	}
	rawOpening = regexp.MustCompile(`^[` + space + `]*raw[` + space + `]*-?%\}`)
	rawClosing = regexp.MustCompile(`\{%[-+]?[` + space + `]*endraw[` + space + `]*[-+]?%\}`)
	word       = regexp.MustCompile(`^(?:[\pL_][\pL\pN_]*|[0-9]+|` +
		`'(?s:[^'\\]|\\.)*'|"(?s:[^"\\]|\\.)*"|\*\*|//|[=!<>]=|[-+*/%~<>=.,:|()\[\]{}])`)
)

// lexer cuts a template into tags. It strips white space around them as Jinja does with trim_blocks and lstrip_blocks.
type lexer struct {
	source    string
	at        int
	lineStart bool // the last tag ended a line
	tags      []tag

	lines, counted int // line breaks before byte counted
}

func lex(source string) ([]tag, error) {
	if !utf8.ValidString(source) {
		return nil, fmt.Errorf("the template is not UTF-8")
	}
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	l := &lexer{source: strings.TrimSuffix(source, "\n"), lineStart: true}
	for l.at < len(l.source) {
		if err := l.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.line(), err)
		}
	}
	return l.tags, nil
}

func (l *lexer) line() int {
	l.lines += strings.Count(l.source[l.counted:l.at], "\n")
	l.counted = l.at
	return 1 + l.lines
}

// next reads text up to a tag, and the tag.
func (l *lexer) next() error {
	found := opening.FindStringIndex(l.source[l.at:])
	if found == nil {
		l.addText(l.source[l.at:])
		l.at = len(l.source)
		return nil
	}
	mark := l.source[l.at+found[0] : l.at+found[1]]
	l.addText(l.strip(l.source[l.at:l.at+found[0]], mark[2:], mark[:2] != "{{"))
	l.at += found[1]
	rest := l.source[l.at:]
	if raw := rawOpening.FindString(rest); raw != "" && mark[:2] == "{%" {
		return l.raw(raw)
	}
	if mark[:2] != "{#" {
		return l.tag(mark[:2])
	}
	end := closings["{#"].FindStringIndex(rest)
	if end == nil {
		return fmt.Errorf("a comment without end")
	}
	l.leave(end[0], end[1], true)
	return nil
}

// strip removes the white space before a tag that the tag's sign, or lstrip_blocks, removes.
func (l *lexer) strip(text, sign string, block bool) string {
	start := strings.LastIndexByte(text, '\n') + 1
	switch {
	case sign == "-":
		return strings.TrimRight(text, space)
	case sign == "" && block && (start > 0 || l.lineStart) && strings.Trim(text[start:], space) == "":
		return text[:start]
	}
	return text
}

// leave skips the end of a tag, which is at [from, to) of the rest, and the white space after it that the tag strips.
func (l *lexer) leave(from, to int, block bool) {
	sign, begin := l.source[l.at+from], l.at+to
	l.at = begin
	switch {
	case sign == '-':
		l.at = len(l.source) - len(strings.TrimLeft(l.source[l.at:], space))
	case block && sign != '+' && strings.HasPrefix(l.source[l.at:], "\n"):
		l.at++
	}
	l.lineStart = l.at > begin && l.source[l.at-1] == '\n'
}

func (l *lexer) raw(open string) error {
	l.at += len(open)
	if strings.HasSuffix(open, "-%}") {
		l.at = len(l.source) - len(strings.TrimLeft(l.source[l.at:], space))
	}
	end := rawClosing.FindStringIndex(l.source[l.at:])
	if end == nil {
		return fmt.Errorf("raw without endraw")
	}
	sign := ""
	if c := l.source[l.at+end[0]+2]; c == '-' || c == '+' {
		sign = string(c)
	}
	l.lineStart = false
	l.addText(l.strip(l.source[l.at:l.at+end[0]], sign, true))
	l.leave(end[1]-3, end[1], true)
	return nil
}

// tag reads the tokens of a tag up to its end.
func (l *lexer) tag(open string) error {
	t, depth := tag{open: open, line: l.line()}, 0
	for {
		l.at = len(l.source) - len(strings.TrimLeft(l.source[l.at:], space))
		rest := l.source[l.at:]
		if end := closings[open].FindStringIndex(rest); end != nil && depth == 0 {
			if t.tokens == nil {
				return fmt.Errorf("an empty tag")
			}
			l.tags = append(l.tags, t)
			l.leave(0, end[1], open == "{%")
			return nil
		}
		text := word.FindString(rest)
		if text == "" {
			r, _ := utf8.DecodeRuneInString(rest)
			switch {
			case rest == "":
				return fmt.Errorf("a tag without end")
			case r == '\'' || r == '"':
				return fmt.Errorf("a string without end")
			}
			return fmt.Errorf("unexpected %q", r)
		}
		l.at += len(text)
		tok := token{'o', text}
		switch r, _ := utf8.DecodeRuneInString(text); {
		case r == '\'' || r == '"':
			value, err := unescape(text[1 : len(text)-1])
			if err != nil {
				return err
			}
			tok = token{'s', value}
		case r >= '0' && r <= '9':
			tok.kind = 'i'
		case r == '_' || unicode.IsLetter(r):
			tok.kind = 'n'
		case strings.ContainsAny(text, "([{"):
			depth++
		case strings.ContainsAny(text, ")]}"):
			if depth--; depth < 0 {
				return fmt.Errorf("unexpected %q", r)
			}
		}
		t.tokens = append(t.tokens, tok)
	}
}

func (l *lexer) addText(text string) {
	if text != "" {
		l.tags = append(l.tags, tag{text: text})
	}
}

// unescape reads the escapes of a Python string that templates use.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		at := strings.IndexByte("\\'\"abfnrtv\n", s[i])
		width := map[byte]int{'x': 2, 'u': 4}[s[i]]
		switch {
		case at >= 0:
			b.WriteString([]string{"\\", "'", "\"", "\a", "\b", "\f", "\n", "\r", "\t", "\v", ""}[at])
		case width > 0 && i+width < len(s):
			v, err := strconv.ParseUint(s[i+1:i+1+width], 16, 32)
			if err != nil || v >= 0xd800 && v < 0xe000 {
				return "", fmt.Errorf(`the escape \%s is not supported`, s[i:i+1+width])
			}
			b.WriteRune(rune(v))
			i += width
		case strings.IndexByte("xuUN01234567", s[i]) >= 0:
			return "", fmt.Errorf(`the escape \%c is not supported`, s[i])
		default:
			b.WriteString(s[i-1 : i+1])
		}
	}
	return b.String(), nil
}
