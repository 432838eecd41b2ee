package chattemplate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	endOfFile kind = iota
	textToken      // outside the tags
	beginOutput
	beginTag
	endTag // of either
	nameToken
	intToken
	floatToken
	stringToken
	operator
)

type token struct {
	kind kind
	text string // for a string, its value
	line int
}

func (t token) String() string {
	switch t.kind {
	case endOfFile:
		return "the end of the template"
	case endTag:
		return "the end of the tag"
	}
	return strconv.Quote(t.text)
}

// lexer cuts a template into tokens. It strips white space around tags as Jinja does with trim_blocks and lstrip_blocks.
type lexer struct {
	source    string
	at        int
	lineStart bool // the last token ended a line
	tokens    []token

	lines, counted int // line breaks before byte counted
}

func lex(source string) ([]token, error) {
	if !utf8.ValidString(source) {
		return nil, fmt.Errorf("it is not UTF-8")
	}
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	l := &lexer{source: strings.TrimSuffix(source, "\n"), lineStart: true}
	for l.at < len(l.source) {
		if err := l.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.line(), err)
		}
	}
	l.add(endOfFile, "")
	return l.tokens, nil
}

// next reads text up to a tag, and the tag.
func (l *lexer) next() error {
	rest := l.source[l.at:]
	i := firstTag(rest)
	if i < 0 {
		l.add(textToken, rest)
		l.at = len(l.source)
		return nil
	}
	text, open := rest[:i], rest[i:i+2]
	sign := byte(0)
	if i+2 < len(rest) {
		sign = rest[i+2]
	}
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	case sign != '+' && open != "{{":
		text = l.stripIndent(text)
	}
	if text != "" {
		l.add(textToken, text)
	}
	l.at += i + 2
	if sign == '-' || sign == '+' {
		l.at++
	}
	switch open {
	case "{#":
		return l.comment()
	case "{{":
		l.add(beginOutput, "{{")
		return l.tag("}}")
	}
	if body, ok := l.rawTag(); ok {
		return l.raw(body)
	}
	l.add(beginTag, "{%")
	return l.tag("%}")
}

func firstTag(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && strings.IndexByte("{%#", s[i+1]) >= 0 {
			return i
		}
	}
	return -1
}

// stripIndent removes white space between the start of a line and a tag.
func (l *lexer) stripIndent(text string) string {
	start := strings.LastIndexByte(text, '\n') + 1
	if (start > 0 || l.lineStart) && strings.TrimSpace(text[start:]) == "" {
		return text[:start]
	}
	return text
}

func (l *lexer) comment() error {
	i := strings.Index(l.source[l.at:], "#}")
	if i < 0 {
		return fmt.Errorf("a comment without end")
	}
	sign := byte(0)
	if i > 0 {
		sign = l.source[l.at+i-1]
	}
	l.at += i + 2
	l.afterTag(sign, true)
	return nil
}

// afterTag skips white space behind a tag: all with the sign -, one line break behind a block's.
func (l *lexer) afterTag(sign byte, block bool) {
	begin := l.at
	switch {
	case sign == '-':
		l.at = len(l.source) - len(strings.TrimLeftFunc(l.source[l.at:], unicode.IsSpace))
	case block && sign != '+' && strings.HasPrefix(l.source[l.at:], "\n"):
		l.at++
	}
	l.lineStart = l.at > begin && l.source[l.at-1] == '\n'
}

// rawTag says whether the tag is {% raw %}, and where its body begins.
func (l *lexer) rawTag() (int, bool) {
	rest := strings.TrimLeftFunc(l.source[l.at:], unicode.IsSpace)
	after, ok := strings.CutPrefix(rest, "raw")
	if !ok {
		return 0, false
	}
	after = strings.TrimLeftFunc(after, unicode.IsSpace)
	dash := strings.HasPrefix(after, "-%}")
	after, ok = strings.CutPrefix(strings.TrimPrefix(after, "-"), "%}")
	if !ok {
		return 0, false
	}
	if dash {
		after = strings.TrimLeftFunc(after, unicode.IsSpace)
	}
	return len(l.source) - len(after), true
}

func (l *lexer) raw(body int) error {
	for at := body; ; at += 2 {
		i := strings.Index(l.source[at:], "{%")
		if i < 0 {
			return fmt.Errorf("raw without endraw")
		}
		at += i
		inside := l.source[at+2:]
		sign := byte(0)
		if inside != "" && (inside[0] == '-' || inside[0] == '+') {
			sign, inside = inside[0], inside[1:]
		}
		word, ok := strings.CutPrefix(strings.TrimLeftFunc(inside, unicode.IsSpace), "endraw")
		if !ok {
			continue
		}
		word = strings.TrimLeftFunc(word, unicode.IsSpace)
		endSign := byte(0)
		if word != "" && (word[0] == '-' || word[0] == '+') {
			endSign, word = word[0], word[1:]
		}
		if !strings.HasPrefix(word, "%}") {
			continue
		}
		text := l.source[body:at]
		if sign == '-' {
			text = strings.TrimRightFunc(text, unicode.IsSpace)
		} else if sign == 0 {
			l.lineStart = false
			text = l.stripIndent(text)
		}
		l.add(textToken, text)
		l.at = len(l.source) - len(word) + 2
		l.afterTag(endSign, true)
		return nil
	}
}

// tag reads the tokens of a tag up to its end.
func (l *lexer) tag(end string) error {
	depth := 0
	for {
		l.at = len(l.source) - len(strings.TrimLeftFunc(l.source[l.at:], unicode.IsSpace))
		rest := l.source[l.at:]
		if rest == "" {
			return fmt.Errorf("a tag without %s", end)
		}
		if depth == 0 {
			for _, sign := range []string{"", "-", "+"} {
				if strings.HasPrefix(rest, sign+end) && (sign != "+" || end == "%}") {
					l.add(endTag, "")
					l.at += len(sign) + len(end)
					l.afterTag((sign + " ")[0], end == "%}")
					return nil
				}
			}
		}
		if err := l.word(rest, &depth); err != nil {
			return err
		}
	}
}

// word reads one token within a tag.
func (l *lexer) word(rest string, depth *int) error {
	c, _ := utf8.DecodeRuneInString(rest)
	switch {
	case c == '_' || unicode.IsLetter(c):
		n := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		return l.take(nameToken, rest, n)
	case c >= '0' && c <= '9':
		return l.number(rest)
	case c == '\'' || c == '"':
		return l.quoted(rest)
	}
	for _, op := range []string{"//", "**", "==", "!=", "<=", ">="} {
		if strings.HasPrefix(rest, op) {
			return l.take(operator, rest, 2)
		}
	}
	if !strings.ContainsRune("+-*/%~<>=.,:|()[]{}", c) {
		return fmt.Errorf("unexpected %q", c)
	}
	switch c {
	case '(', '[', '{':
		*depth++
	case ')', ']', '}':
		*depth--
	}
	if *depth < 0 {
		return fmt.Errorf("unexpected %q", c)
	}
	return l.take(operator, rest, 1)
}

func (l *lexer) number(rest string) error {
	digits := func(s string) int {
		n := 0
		for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '_') {
			n++
		}
		return n
	}
	n, k := digits(rest), intToken
	if n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
		n += 1 + digits(rest[n+1:])
		k = floatToken
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		exponent := n + 1
		if exponent < len(rest) && (rest[exponent] == '+' || rest[exponent] == '-') {
			exponent++
		}
		if d := digits(rest[exponent:]); d > 0 {
			n, k = exponent+d, floatToken
		}
	}
	return l.take(k, rest, n)
}

func (l *lexer) quoted(rest string) error {
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case rest[0]:
			text, err := unescape(rest[1:i])
			if err != nil {
				return err
			}
			l.add(stringToken, text)
			l.at += i + 1
			return nil
		}
	}
	return fmt.Errorf("a string without end")
}

// unescape reads Python's escapes. An unknown one stands for itself.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case '\n':
		case '\\', '\'', '"':
			b.WriteByte(c)
		case 'x', 'u', 'U':
			width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if i+width >= len(s) {
				return "", fmt.Errorf(`a string with a cut \%c`, c)
			}
			v, err := strconv.ParseUint(s[i+1:i+1+width], 16, 32)
			if err != nil || v > unicode.MaxRune {
				return "", fmt.Errorf(`a string with a wrong \%c`, c)
			}
			b.WriteRune(rune(v))
			i += width
		default:
			if at := strings.IndexByte("abfnrtv0", c); at >= 0 {
				b.WriteByte("\a\b\f\n\r\t\v\x00"[at])
			} else {
				b.WriteByte('\\')
				b.WriteByte(c)
			}
		}
	}
	return b.String(), nil
}

func (l *lexer) take(k kind, rest string, n int) error {
	if n < 0 {
		n = len(rest)
	}
	l.add(k, rest[:n])
	l.at += n
	return nil
}

func (l *lexer) add(k kind, text string) { l.tokens = append(l.tokens, token{k, text, l.line()}) }

// line is the number of the line that is read now.
func (l *lexer) line() int {
	l.lines += strings.Count(l.source[l.counted:l.at], "\n")
	l.counted = l.at
	return 1 + l.lines
}
