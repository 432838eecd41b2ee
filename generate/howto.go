package generate

import (
	"math/rand/v2"
	"regexp"
	"strings"

	"github.com/retort-ir/retort/internal/language"
)

// howToQueries returns a "how to ..." of each sentence that says what something does or how to do something, in their
// order: the first sentence of a documentation says most.
func howToQueries(d *document, _ *rand.Rand) []string {
	if d.language != language.English {
		return nil // sentences, titles and phrases take their place
	}
	var queries []string
	for _, s := range d.sentences {
		if s.torn {
			continue
		}
		action := actionOfSymbol(s)
		if action == "" {
			action = actionOfAdvice(s.text)
		}
		if action == "" {
			continue
		}
		// Two words, "how to", precede it.
		if action = fitAction(action, d.options.MinWords-2, d.options.MaxWords-2); action != "" {
			queries = append(queries, "how to "+action)
		}
	}
	return queries
}

var genericSubject = regexp.MustCompile(`^(?:(?:This|The|Each) (?:function|method|command|procedure|option|` +
	`setting|tool|program|package|feature)|It) `)

// actionOfSymbol turns "Shutdown gracefully shuts down the server" into "gracefully shut down the server". The subject
// is the passage's symbol or a word in its place.
func actionOfSymbol(s sentence) string {
	rest := s.body
	if !s.led {
		subject := genericSubject.FindString(s.text)
		if subject == "" {
			return ""
		}
		rest = s.text[len(subject):]
	}
	var adverbs []string
	words := strings.Fields(rest)
	for len(words) > 0 && (strings.HasSuffix(words[0], "ly") || words[0] == "also" || words[0] == "then") {
		if strings.HasSuffix(words[0], "ly") {
			adverbs = append(adverbs, words[0])
		}
		words = words[1:]
	}
	if len(words) < 2 {
		return ""
	}
	verb, ok := baseForm(words[0])
	if !ok || stateVerbs[verb] {
		return ""
	}
	words = words[1:]
	if auxiliaries[words[0]] { // "Instants can be compared": the word before was a noun
		return ""
	}
	switch {
	case verb == "report" && words[0] != "whether":
	case verb == "return" && (words[0] == "whether" || words[0] == "true"):
		verb = "check"
		if len(words) > 2 && words[0] == "true" {
			words = words[1:]
		}
	case askedAs[verb] != "":
		verb = askedAs[verb]
	}
	return strings.Join(append(append(adverbs, verb), inBaseForm(words)...), " ")
}

// auxiliaries show that the word before them is a subject.
var auxiliaries = set("is are was were be can could may might must shall should will would do does did have has had")

// afterSymbol returns what follows the passage's symbol ("Shutdown", "The Shutdown method", "Package http") where a
// sentence begins with it.
func afterSymbol(s string, o own) (string, bool) {
	if o.symbol == "" {
		return "", false
	}
	tokens := tokenize(s)
	i := 0
	for i < len(tokens) && i < 2 && (kinds[strings.ToLower(tokens[i].text)] || isArticle(tokens[i].text)) && !o.is(tokens[i]) {
		i++
	}
	if i >= len(tokens) || !o.is(tokens[i]) {
		return "", false
	}
	end := tokens[i].end + brackets(s[tokens[i].end:])
	if i+1 < len(tokens) && kinds[strings.ToLower(tokens[i+1].text)] {
		end = tokens[i+1].end
	}
	rest := s[end:]
	return strings.TrimSpace(rest), strings.HasPrefix(rest, " ")
}

func isArticle(word string) bool {
	word = strings.ToLower(word)
	return word == "a" || word == "an" || word == "the"
}

var determiners = set("a an the it them its their his her that whether any all each every")

// inBaseForm puts further verbs of the same subject into the base form: "and closes the connection" to "and close the
// connection". That a word is a verb shows by the determiner behind it, or by the first verb right before the "and".
func inBaseForm(words []string) []string {
	for i := 1; i+1 < len(words); i++ {
		before := words[i-1]
		joined := before == "and" || before == "or" || before == "then" || before == "but" || strings.HasSuffix(before,
			",")
		if !joined || !(i == 1 || before == "then" || determiners[words[i+1]]) {
			continue
		}
		if base, ok := baseForm(words[i]); ok {
			words[i] = base
		}
	}
	return words
}

const verbPhrase = `((?:[a-z]+ly )?[a-z]+ `

var (
	purpose = regexp.MustCompile(`^(?:[Ii]n order to|[Tt]o|If you (?:want|need|wish|would like) to) ` + verbPhrase + `[^,]+),`)
	ability = regexp.MustCompile(`^(?:You can(?: also)?|.{3,60} (?:lets|allows|enables) you(?: to)?|Use .{3,60}? to|` +
		`.{3,60} (?:is|are|can be) used to|Follow these steps to|It is possible to) (?:then )?` + verbPhrase + `.+)$`)
)

// actionOfAdvice finds the action in "To reset your password, open ..." and "You can export your data as a file".
func actionOfAdvice(s string) string {
	for _, pattern := range []*regexp.Regexp{purpose, ability} {
		m := pattern.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		verb, _, _ := strings.Cut(m[1], " ")
		if !isStopWord(verb) || verb == "use" {
			return m[1]
		}
	}
	return ""
}

var (
	clauseEnd = regexp.MustCompile(`, (?:(?:and|or) (?:it|then|if)|but|so|which|where|when|if|unless|until|because|since|as|after|` +
		`before|even|except|then|it|returning|for example|such)\b|[;:—](?: |$)|\.(?: |$)| - `)
	furtherPart = regexp.MustCompile(`(?i) (?:if|when|unless|which|that|so|because|since|where|and|or|but|while|as|using|by|with|` +
		`without|for|from|to|in|into|on|at|of) `)
)

// fitAction ends an action at its first clause and, while that is too long, at the last word that begins a further
// part.
func fitAction(s string, fewest, most int) string {
	for _, at := range clauseEnd.FindAllStringIndex(s, -1) {
		if len(tokenize(s[:at[0]])) >= max(fewest, 3) {
			s = s[:at[0]]
			break
		}
	}
	for len(tokenize(s)) > most {
		end := strings.LastIndexByte(s, ',')
		if parts := furtherPart.FindAllStringIndex(s, -1); len(parts) > 0 {
			end = max(end, parts[len(parts)-1][0])
		}
		if end < 0 {
			return ""
		}
		s = s[:end]
	}
	s = trimPunctuation(s)
	words := strings.Fields(s)
	for len(words) > 0 && isStopWord(words[len(words)-1]) && !particles[words[len(words)-1]] {
		words = words[:len(words)-1]
	}
	s = strings.Join(words, " ")
	if len(tokenize(s)) < max(fewest, 2) {
		return ""
	}
	return s
}

// particles may end an action: "shut it down".
var particles = set("down up off out over it them once")
