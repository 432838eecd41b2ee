package generate

import (
	"regexp"
	"strings"
	"unicode"
)

// What a person would not type.
var (
	goLink     = regexp.MustCompile(`\[([*\pL_][\pL\pN_.*]*)\]`)
	mdLink     = regexp.MustCompile(`\[([^\]]+)\]\([^)\s]+\)`)
	citation   = regexp.MustCompile(`\s?\[\d[\d,;\s–-]*\]`)
	inBrackets = regexp.MustCompile(`(^|\s)\([^()]*\)`)
	url        = regexp.MustCompile(`https?://\S+`)
	marks      = strings.NewReplacer("`", "", "**", "", "“", `"`, "”", `"`)

	strayBefore = regexp.MustCompile(`\s+([,.;:!?])`)
)

// The openings of a sentence that are dropped before its claim. Labels end with a colon, or a capital follows.
var (
	sectionLabel = regexp.MustCompile(`^(?:\p{Lu}[\p{Lu} /&]{3,}:\s+|(?i:` + labels + `):\s+|(?:` + titleCase(labels) + `|` +
		strings.ToUpper(labels) + `)\s+)(\p{Lu}|\d)`)
	connective = regexp.MustCompile(`^(?i:` + connectives + `),?\s+`)
	foundThat  = regexp.MustCompile(`^(?i:` + weFound + `|` + resultsShow + `|` + itWasFound + `|` + reminders + `)\s+`)
)

const (
	labels = `backgrounds?|objectives?|purpose|aims?|methods?|results?|conclusions?|introduction|findings|interpretation|` +
		`significance|summary|context|design|note|warning|tip|example`
	connectives = `however|moreover|furthermore|in addition|additionally|thus|therefore|hence|finally|in contrast|by contrast|` +
		`for example|for instance|in particular|in summary|in conclusion|in this (?:study|paper|work|article|report)|here|` +
		`consequently|nevertheless|similarly|interestingly|importantly|overall|together|notably|typically|firstly|secondly`
	weFound = `(?:here,? )?we (?:have )?(?:also |further |now )?(?:find|found|show|showed|shown|report|reported|demonstrate|` +
		`demonstrated|conclude|concluded|observe|observed|suggest|suggested|propose|hypothesi[sz]ed?) that`
	resultsShow = `(?:these|our|the|this) (?:(?:present|current|new) )?(?:results?|findings?|data|study|studies|work|analysis|` +
		`observations?) (?:strongly |further |also |clearly )?(?:suggests?|indicates?|shows?|showed|demonstrates?|demonstrated|` +
		`provides? evidence|supports? the hypothesis|confirms?) that`
	itWasFound = `it (?:is|was|has been) (?:\w+ )?(?:found|shown|concluded|suggested|demonstrated|known|established) that`
	reminders  = `note that|be aware that|keep in mind that`
)

// titleCase turns the first letters of alternatives into capitals.
func titleCase(alternatives string) string {
	words := strings.Split(alternatives, "|")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "|")
}

// plain takes out what a person would not type: links' brackets, citations, asides in brackets, addresses, emphasis.
func plain(s string) string {
	s = mdLink.ReplaceAllString(s, "$1")
	s = goLink.ReplaceAllString(s, "$1")
	s = citation.ReplaceAllString(s, "")
	s = url.ReplaceAllString(s, "")
	s = inBrackets.ReplaceAllString(s, "")
	s = marks.Replace(s)
	return tidy(s)
}

// withoutOpening drops a section's label, a connecting word and "we found that", so that the claim itself remains.
func withoutOpening(s string) string {
	s = sectionLabel.ReplaceAllString(s, "$1")
	s = connective.ReplaceAllString(s, "")
	return foundThat.ReplaceAllString(s, "")
}

func tidy(s string) string {
	s = strayBefore.ReplaceAllString(strings.Join(strings.Fields(s), " "), "$1")
	return strings.TrimLeft(strings.TrimSpace(s), ",.;:!? ")
}

func trimPunctuation(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`.,;:!?-–—"*`, r) })
	// A bracket whose other half is gone.
	if strings.Count(s, "(") != strings.Count(s, ")") {
		s = strings.TrimSpace(strings.NewReplacer("(", " ", ")", " ").Replace(s))
	}
	if strings.Count(s, "[") != strings.Count(s, "]") {
		s = strings.NewReplacer("[", " ", "]", " ").Replace(s)
	}
	if strings.Count(s, `"`)%2 != 0 {
		s = strings.ReplaceAll(s, `"`, "")
	}
	return strings.Join(strings.Fields(s), " ")
}

var (
	clauseBreak           = regexp.MustCompile(`[,;:] |—| [-–] `)
	startsWithPreposition = regexp.MustCompile(`^(?i:after|although|as|at|based|because|before|between|by|compared|despite|due|` +
		`during|following|for|from|given|if|in|on|once|over|since|through|to|under|upon|using|when|where|whereas|while|with|within|without) `)
)

// fit returns a sentence without its end, and whether it was too long and therefore cut at a comma or the like; ""
// where nothing of a fitting length is left.
func fit(s string, fewest, most int) (fitted string, cut bool) {
	s = trimPunctuation(s)
	for len(tokenize(s)) > most {
		breaks := clauseBreak.FindAllStringIndex(s, -1)
		if len(breaks) == 0 || startsWithPreposition.MatchString(s) {
			// "Between 1990 and 2000, all patients ...": the verb comes late.
			return "", true
		}
		s = trimPunctuation(s[:breaks[len(breaks)-1][0]])
		cut = true
	}
	if len(tokenize(s)) < fewest || len(strings.Fields(s)) < fewest { // a path is many tokens and no sentence
		return "", cut
	}
	return s, cut
}

var pronouns = set("it its this that these those they their them he she his her such here there both")

func startsWithPronoun(s string) bool {
	tokens := tokenize(s)
	return len(tokens) > 0 && pronouns[strings.ToLower(tokens[0].text)]
}

// isCode reports whether a sentence is rather a line of a program: symbols of one, or few letters.
func isCode(s string) bool {
	for _, sign := range []string{":=", "==", "!=", "=>", "->", "();", "{", "}", "&&", "||", "</", "/>", "\\"} {
		if strings.Contains(s, sign) {
			return true
		}
	}
	letters, others := 0, 0
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsMark(r) || r == ' ' {
			letters++
		} else {
			others++
		}
	}
	return others*3 > letters
}
