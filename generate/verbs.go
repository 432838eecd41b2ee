package generate

import "strings"

// baseForm returns the base form of an English verb in the third person: shuts to shut, copies to copy, closes to
// close. False where the word cannot be one.
func baseForm(verb string) (string, bool) {
	verb = strings.ToLower(verb)
	if base, ok := irregular[verb]; ok {
		return base, true
	}
	ends := func(suffixes ...string) bool {
		for _, s := range suffixes {
			if strings.HasSuffix(verb, s) {
				return true
			}
		}
		return false
	}
	switch {
	case len(verb) < 4 || !ends("s") || ends("ss", "us", "is", "'s", "’s") || isStopWord(verb):
		return "", false
	case ends("ies"):
		return verb[:len(verb)-3] + "y", true
	case ends("sses", "shes", "ches", "xes", "zzes", "oes"):
		return verb[:len(verb)-2], true
	default:
		return verb[:len(verb)-1], true
	}
}

// irregular are the verbs that the endings would get wrong, or that are stop words.
var irregular = map[string]string{
	"does": "do", "uses": "use",
	"dies": "die", "lies": "lie", "ties": "tie", "unties": "untie",
	"caches": "cache", "aches": "ache", "axes": "axe",
	"focuses": "focus", "biases": "bias", "aliases": "alias",
}

// stateVerbs say what a thing is, not what it does: nobody asks how to do that.
var stateVerbs = set(`
	represent describe define implement hold contain specify indicate denote provide mean consist belong occur happen
	appear exist refer stand need want differ require behave panic satisfy correspond depend seem remain become fail
	embed equal work include lack constitute belong possess comprise deserve
`)

// askedAs are verbs that a question replaces by another.
var askedAs = map[string]string{"return": "get", "report": "check", "yield": "get"}
