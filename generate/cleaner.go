package generate

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/language"
)

// cleaner makes a query of a language model's answer, or says why there is none in it. The zero value is ready. It is
// safe for concurrent use.
type cleaner struct {
	// MinWords and MaxWords limit a query; 0 means 2 and 20. In scripts without spaces two to four characters count as a word.
	MinWords, MaxWords int
	// Type is the type of query that was asked for: keywords lose the commas between them.
	Type string
	// Examples were shown to the model, which likes to copy them.
	Examples []Example
}

// clean takes off what models put around a query (reasoning, preambles, code fences, bullets, numbering, labels such as
// "Query:", quotes, emphasis, notes on the length), joins its words by single spaces, and looks for reasons not to use
// it. query is what is left of the answer even where there is one. A clean query comes out as it went in.
func (c cleaner) clean(answer string, p retort.Passage) (query string, dropped Reason) {
	if len(answer) > longestAnswer {
		return beginningOf(linesOf(answer[:longestLine])), dropTooLong
	}
	answer, sure := withoutReasoning(answer)
	lines := linesOf(answer)
	if !sure {
		return beginningOf(lines), dropReasoning
	}
	if len(lines) == 0 {
		return "", dropEmpty
	}
	if len(lines[0]) > longestLine {
		return beginningOf(lines), dropTooLong
	}
	query, ok := c.unwrap(lines[0])
	switch {
	case len(lines) > 1:
		return query, dropLines
	case Normalize(query) == "":
		return query, dropEmpty
	case !ok || isJSON(query):
		return query, dropGarbled
	// What the layers have hidden.
	case showsReasoning(query) || specialToken.MatchString(query) || endTokens.MatchString(query):
		return query, dropReasoning
	}
	return query, c.judge(query, p)
}

// isJSON finds an answer that holds its query in an object or array: {"query": "..."}.
func isJSON(query string) bool {
	return query != "" && strings.ContainsRune("{[", rune(query[0])) && json.Valid([]byte(query))
}

// How many bytes are worth looking at: of an answer with its reasoning, and of a line.
const (
	longestAnswer = 1 << 20
	longestLine   = 2000
)

// beginningOf returns what is shown of an answer that is not looked at further.
func beginningOf(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return oneLine(strings.ToValidUTF8(lines[0][:min(len(lines[0]), longestLine)], ""))
}

var (
	fence    = regexp.MustCompile("^(?:```|~~~)\\w*$")
	preamble = regexp.MustCompile(`^(?i:(?:sure|certainly|of course|okay|ok|great)\b.*[!.:]|.*\b(?:here|following|passage|` + answerNames + `)\b.*:)$`)
)

// linesOf returns the lines of an answer that are not empty, without the preamble.
func linesOf(answer string) []string {
	var lines []string
	for _, line := range strings.FieldsFunc(answer, func(r rune) bool { return strings.ContainsRune("\n\r\u2028\u2029", r) }) {
		if line = strings.TrimSpace(line); line != "" && !fence.MatchString(line) {
			lines = append(lines, line)
		}
	}
	const longestPreamble = 200
	if len(lines) > 1 && len(lines[0]) <= longestPreamble && preamble.MatchString(strings.Trim(lines[0], "*# ")) {
		lines = lines[1:]
	}
	return lines
}

const answerNames = `quer(?:y|ies)|questions?|claims?|titles?|keywords?`

var (
	bullet     = regexp.MustCompile(`^(?:[-*+•‣·–#>]+|\(?\d{1,2}[.)])\s+`)
	label      = regexp.MustCompile(`^(?i:(?:(?:search|web|user|possible|generated|example|the|your) )*(?:` + answerNames + `|q|output)(?: ?\d{1,2})?)\s*[:：]\s*`)
	lead       = regexp.MustCompile(`^(?i:(?:(?:sure|certainly|of course|okay)[,!.]? *)?here(?:'s| is| are) [^:]{0,80}:)\s*`)
	wordsNote  = regexp.MustCompile(`\s*[(\[]\d{1,2} words?[)\]][.!]?$`)
	roundQuote = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`)
	emphasis   = strings.NewReplacer("`", "", "**", "", "__", "")
	listBreak  = regexp.MustCompile(`\s*[,;]\s+`)
)

// unwrap takes off one layer after the other; ok is false where there are too many of them or the text is broken.
func (c cleaner) unwrap(s string) (unwrapped string, ok bool) {
	const layers = 8
	for range layers {
		before := s
		s = c.unwrapOnce(s)
		if s == before {
			return s, !strings.ContainsRune(s, unicode.ReplacementChar)
		}
	}
	return s, false
}

func (c cleaner) unwrapOnce(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) { // joiners, marks of direction, byte order marks
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	s = emphasis.Replace(roundQuote.Replace(oneLine(s)))
	s = bullet.ReplaceAllString(s, "")
	s = lead.ReplaceAllString(s, "")
	s = label.ReplaceAllString(s, "")
	s = wordsNote.ReplaceAllString(s, "")
	if c.Type == TypeKeywords {
		s = strings.TrimRight(listBreak.ReplaceAllString(s, " "), ",;. ")
	}
	return unquote(s)
}

// unquote takes off a pair of quotes or stars around the whole text, and a quote whose other half is missing.
func unquote(s string) string {
	for _, q := range [][2]string{{`"`, `"`}, {"'", "'"}, {"‘", "’"}, {"*", "*"}, {"_", "_"}} {
		if len(s) < len(q[0])+len(q[1]) || !strings.HasPrefix(s, q[0]) || !strings.HasSuffix(s, q[1]) {
			continue
		}
		inner := strings.TrimSpace(s[len(q[0]) : len(s)-len(q[1])])
		if !strings.Contains(inner, q[0]) && !strings.Contains(inner, q[1]) {
			return inner
		}
	}
	if strings.Count(s, `"`) == 1 {
		return strings.TrimSpace(strings.Trim(s, `"`))
	}
	return s
}

// judge looks for a reason to drop a query.
func (c cleaner) judge(query string, p retort.Passage) Reason {
	words := strings.Fields(Normalize(query))
	content := strings.Fields(Normalize(p.Content()))
	switch n := language.CountWords(query); {
	case refusal.MatchString(query):
		return dropRefusal
	case speaksOfPassage(query):
		return dropReference
	case n < cmp.Or(c.MinWords, defaultMinWords):
		return dropTooShort
	case n > cmp.Or(c.MaxWords, defaultMaxWords):
		return dropTooLong
	case isOtherScript(query, p.Content()):
		return dropScript
	case isRepetitive(words):
		return dropRepetition
	case slices.ContainsFunc(c.Examples, func(e Example) bool { return copiesExample(words, e) }):
		return dropExample
	case copiesTitle(words, p) || copiesText(words, content) || copiesSentence(words, p.Text):
		return dropCopy
	case holdsIdentifier(query, p):
		return dropIdentifier
	}
	return ""
}

const (
	defaultMinWords = 2
	defaultMaxWords = 20
)

var (
	refusal = regexp.MustCompile(`^(?i:(?:i'm|i am) sorry\b|sorry,? (?:but )?i\b|as an (?:ai|artificial)\b|n/a\b|` +
		`i (?:cannot|can't|am unable to|am not able to) (?:generate|provide|assist|fulfil))`)
	reference = regexp.MustCompile(`(?i)\b(?:(?:the|this|that|given|above|provided|following) (?:passage|excerpt)|` +
		`(?:this|above|given|provided) (?:text|article|document|paragraph|snippet|abstract)|` +
		`(?:according to|mentioned in|described in|stated in|based on) the (?:text|article|document|paragraph|snippet|abstract|study|authors?))\b`)
	otherPassage = regexp.MustCompile(`(?i)\bthe passage of\b`) // of time, of a law
)

func speaksOfPassage(query string) bool {
	return reference.MatchString(otherPassage.ReplaceAllString(query, ""))
}

// isRepetitive finds a word three times in a row and texts of which fewer than half of the words are new.
func isRepetitive(words []string) bool {
	words = language.PairUnspaced(words)
	distinct := map[string]bool{}
	for i, w := range words {
		distinct[w] = true
		if i >= 2 && words[i-1] == w && words[i-2] == w {
			return true
		}
	}
	const enough = 6
	return len(words) >= enough && 2*len(distinct) < len(words)
}

// shortestCopy is how many words in a row make a copy: fewer are a name or a term.
const shortestCopy = 6

// copiesExample finds an example's query, also with other small words or a few words more, and a part of its passage.
func copiesExample(words []string, e Example) bool {
	example := strings.Fields(Normalize(e.Query))
	if slices.Equal(words, example) {
		return true
	}
	const telling = 3
	theirs := contentWords(strings.Join(example, " "))
	if len(theirs) >= telling && holdsAll(contentWords(strings.Join(words, " ")), theirs) {
		return true
	}
	return copiesText(words, strings.Fields(Normalize(e.Passage)))
}

func holdsAll(words, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(words, w) })
}

// copiesText reports whether four fifths of the words or more, and at least shortestCopy, are consecutive in the text.
func copiesText(words, text []string) bool {
	shortest := shortestCopy
	if n := len(words); language.CountWords(strings.Join(words, " ")) < n { // most of them are characters
		shortest *= 2
	}
	run := max(shortest, (4*len(words)+4)/5)
	for i := 0; i+run <= len(words); i++ {
		if containsRun(text, words[i:i+run]) {
			return true
		}
	}
	return false
}

// copiesSentence finds short sentences too. Two words are no sentence.
func copiesSentence(words []string, text string) bool {
	if len(words) < 3 {
		return false
	}
	query := strings.Join(words, " ")
	return slices.ContainsFunc(sentencesOf(text), func(s string) bool { return Normalize(s) == query })
}

func copiesTitle(words []string, p retort.Passage) bool {
	return len(words) > 1 && slices.Equal(words, strings.Fields(Normalize(p.Title)))
}

// holdsIdentifier finds the symbol that a title names, alone or qualified, and an id that is an identifier. A title of
// ordinary words may be in a query: it is the subject.
func holdsIdentifier(query string, p retort.Passage) bool {
	if o := ownNames(p.Title, false); o.symbol != "" && o.isIn(query) {
		return true
	}
	return isIdentifier(p.ID) && containsRun(strings.Fields(Normalize(query)), strings.Fields(Normalize(p.ID)))
}

// scripts are the scripts told apart. Japanese mixes the first three.
var scripts = [][]*unicode.RangeTable{
	{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo},
	{unicode.Latin},
	{unicode.Cyrillic},
	{unicode.Greek},
	{unicode.Arabic},
	{unicode.Hebrew},
	{unicode.Hangul},
	{unicode.Devanagari},
	{unicode.Bengali},
	{unicode.Tamil},
	{unicode.Telugu},
	{unicode.Thai},
	{unicode.Georgian},
	{unicode.Armenian},
}

// isOtherScript reports whether most letters of the query are of a script that makes up less than a twentieth of the
// passage's.
func isOtherScript(query, passage string) bool {
	of, total := lettersByScript(query)
	most := 0
	for s, n := range of {
		if n > of[most] {
			most = s
		}
	}
	theirs, theirTotal := lettersByScript(passage)
	return total > 0 && theirTotal > 0 && 20*theirs[most] < theirTotal
}

// lettersByScript counts letters; letters of all scripts that are not listed come last, together.
func lettersByScript(text string) (of []int, total int) {
	of = make([]int, len(scripts)+1)
	for _, r := range text {
		if !unicode.IsLetter(r) {
			continue
		}
		s := slices.IndexFunc(scripts, func(tables []*unicode.RangeTable) bool { return unicode.In(r, tables...) })
		if s < 0 {
			s = len(scripts)
		}
		of[s]++
		total++
	}
	return of, total
}
