package generate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/retort-ir/retort/internal/language"
)

// token is a word of a text: letters, digits and marks, with hyphens, apostrophes and dots inside.
type token struct {
	text       string
	start, end int // bytes
}

func tokenize(text string) []token {
	var tokens []token
	start := -1
	end := 0 // behind the last letter
	for i, r := range text {
		switch {
		case isWordRune(r):
			if start < 0 {
				start = i
			}
			end = i + utf8.RuneLen(r)
		case start >= 0 && end == i && strings.ContainsRune("-'’.", r):
			// Inside a word only where a letter follows at once: end tells.
		case start >= 0:
			tokens = append(tokens, token{text[start:end], start, end})
			start = -1
		}
	}
	if start >= 0 {
		tokens = append(tokens, token{text[start:end], start, end})
	}
	return tokens
}

func isWordRune(r rune) bool {
	if r == utf8.RuneError {
		return false
	}
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

func isNumber(word string) bool {
	return !strings.ContainsFunc(word, unicode.IsLetter)
}

func isStopWord(word string) bool { return stopWords[strings.ToLower(word)] }

// Normalize returns the words of a text in lower case, joined by spaces, in Unicode's form NFKC: two queries with equal
// normal forms ask the same. Each character of a script without spaces between words, such as Chinese, is a word.
func Normalize(text string) string {
	tokens := tokenize(language.SplitUnspaced(strings.ToLower(norm.NFKC.String(text))))
	words := make([]string, len(tokens))
	for i, t := range tokens {
		words[i] = t.text
	}
	return strings.Join(words, " ")
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// stopWords are never in keywords, and end phrases: articles, pronouns, prepositions, conjunctions, auxiliaries and
// the adverbs that go with any subject.
var stopWords = set(`
	a an the this that these those such same other another each every either neither both all any some none no not nor
	i me my we us our you your he him his she her it its they them their who whom whose which what one ones itself themselves
	and or but if then else than so because while whereas although though unless until since whether as
	of at by for with without within about against between among into through during before after above below to from
	up down in out on off over under again further onto upon via per across along around toward towards behind beyond near
	is am are was were be been being has have had having do does did doing done can could may might must shall should will would
	cannot can't don't doesn't isn't aren't it's
	here there when where why how only just also very too more most less least much many few several own now once ever never always
	often however therefore thus hence moreover furthermore yet still even e.g i.e etc et al vs cf
	well rather quite first second third two three four five six seven eight nine ten
	let us use used uses using see like unlike instead otherwise already
`)

// plainVerbs are frequent verb forms that a phrase does not run across.
var plainVerbs = set(`
	found show shows showed shown suggest suggests suggested indicate indicates indicated demonstrate demonstrates demonstrated
	report reports reported observed reveal reveals revealed conclude concluded examine examined investigate investigated
	study studied assess assessed evaluate evaluated determine determined identify identified compare compared measured
	increase increases increased decrease decreases decreased reduce reduces reduced cause causes caused lead leads led
	remain remains remained become becomes became occur occurs occurred appear appears appeared seem seems
	provide provides provided require requires required include includes included including contain contains contained
	return returns returned set sets call calls called make makes made take takes taken give gives given get gets got
	read reads write writes create creates created allow allows allowed represent represents represented
	defines defined describes described
	implements implemented holds specifies specified performed obtained conducted presented discussed proposed developed
	based associated related compared according following followed versus
	click choose select enter go open want need needs know help
`)
