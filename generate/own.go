package generate

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// own is what names a passage: a query must not hold it whole.
type own struct {
	heading []string // the normalised words of the title
	title   string   // an identifier as it stands: net/http.Server.Shutdown
	symbol  string   // its last part: Shutdown
}

// ownNames reads a title. In a collection of identifiers a title of one plain word is one too.
func ownNames(title string, identifiers bool) own {
	o := own{heading: strings.Fields(Normalize(title))}
	oneWord := identifiers && len(strings.Fields(title)) == 1
	if isIdentifier(title) || oneWord {
		o.title = withoutKind(title)
		o.symbol = lastIdentifier(o.title)
	}
	return o
}

// kinds are words that precede a symbol in titles and sentences.
var kinds = set(`
	package func function method type class interface struct module const constant var variable field command macro enum trait def
`)

// isIdentifier tells "net/http.Server", "json.Marshal", "pushBack", "push_back()" and "func Marshal" from headings.
func isIdentifier(title string) bool {
	title = withoutKind(title)
	if len(strings.Fields(title)) != 1 {
		return false
	}
	if strings.HasSuffix(title, ")") && strings.Contains(title, "(") {
		return true
	}
	title = strings.TrimRight(title, ".:!?,;")
	previous := ' '
	for i, r := range title {
		_, size := utf8.DecodeRuneInString(title[i:]) // of a broken byte it is 1, unlike RuneLen's
		next, _ := utf8.DecodeRuneInString(title[i+size:])
		inside := unicode.IsLetter(previous) && isWordRune(next)
		switch {
		case inside && strings.ContainsRune("./_#", r):
			return true
		case strings.HasPrefix(title[i:], "::"):
			return true
		case unicode.IsLower(previous) && unicode.IsUpper(r):
			return true
		}
		previous = r
	}
	return false
}

// withoutKind drops the first word of "func Marshal".
func withoutKind(title string) string {
	fields := strings.Fields(title)
	if len(fields) > 1 && kinds[strings.ToLower(fields[0])] {
		return strings.Join(fields[1:], " ")
	}
	return strings.TrimSpace(title)
}

// lastIdentifier returns Shutdown of net/http.Server.Shutdown and printf of printf(3).
func lastIdentifier(title string) string {
	if i := strings.IndexByte(title, '('); i > 0 {
		title = title[:i]
	}
	title = strings.TrimRightFunc(title, func(r rune) bool { return !isWordRune(r) })
	i := strings.LastIndexFunc(title, func(r rune) bool { return !isWordRune(r) && r != '-' })
	return title[i+1:]
}

// isIn reports whether the text holds the title or the symbol whole.
func (o own) isIn(text string) bool {
	if len(o.heading) > 0 && containsRun(strings.Fields(Normalize(text)), o.heading) {
		return true
	}
	return o.symbol != "" && slices.ContainsFunc(tokenize(text), o.is)
}

// is reports whether a word of a text is the passage's symbol, alone, qualified or with an ending: Shutdown,
// srv.Shutdown, Shutdown's.
func (o own) is(t token) bool {
	if o.symbol == "" {
		return false
	}
	if o.sameName(t.text) {
		return true
	}
	for _, part := range strings.FieldsFunc(t.text, func(r rune) bool { return strings.ContainsRune(".'’-", r) }) {
		if o.sameName(part) {
			return true
		}
	}
	return false
}

// sameName compares regardless of case, except that a symbol that could be an ordinary word, such as Close, is told
// from that word by its capital: "closes the file" and "close" remain, Close goes.
func (o own) sameName(name string) bool {
	if isPlainWord(o.symbol) {
		return name == o.symbol
	}
	return strings.EqualFold(name, o.symbol)
}

func isPlainWord(symbol string) bool {
	for i, r := range symbol {
		if !unicode.IsLetter(r) || i > 0 && unicode.IsUpper(r) {
			return false
		}
	}
	return true
}

// without returns the text with every occurrence of the symbol taken out, along with the article or kind before it and
// the brackets behind it.
func (o own) without(text string) string {
	if o.symbol == "" {
		return text
	}
	tokens := tokenize(text)
	var b strings.Builder
	from := 0
	for i, t := range tokens {
		if !o.is(t) {
			continue
		}
		start := t.start
		for j := i - 1; j >= 0 && belongsToNext(text, tokens[j], start) && tokens[j].start >= from; j-- {
			start = tokens[j].start
		}
		end := t.end + brackets(text[t.end:])
		// A path before the symbol ("net/http") is removed with it.
		for start > from && strings.ContainsRune("/*[(", rune(text[start-1])) {
			start--
			for start > from && isPathByte(text[start-1]) {
				start--
			}
		}
		b.WriteString(text[from:start])
		b.WriteByte(' ')
		from = end
	}
	b.WriteString(text[from:])
	return tidy(b.String())
}

func isPathByte(c byte) bool {
	return c == '/' || c == '.' || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func belongsToNext(text string, t token, start int) bool {
	if start <= t.end || strings.TrimSpace(text[t.end:start]) != "" {
		return false
	}
	word := strings.ToLower(t.text)
	return kinds[word] || word == "a" || word == "an" || word == "the"
}

// brackets returns the length of the call's brackets and the closing bracket of a link that follow a symbol.
func brackets(rest string) int {
	n := 0
	if strings.HasPrefix(rest, "(") {
		n = strings.IndexByte(rest, ')') + 1
	}
	if strings.HasPrefix(rest[n:], "]") {
		n++
	}
	return n
}

func containsRun(words, run []string) bool {
	for i := 0; i+len(run) <= len(words); i++ {
		if slices.Equal(words[i:i+len(run)], run) {
			return true
		}
	}
	return false
}
