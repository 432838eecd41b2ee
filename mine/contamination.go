package mine

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/retort-ir/retort"
)

// The reasons of the filters against contamination.
const (
	ReasonTestQuery     Reason = "equals a test query"
	ReasonNearTestQuery Reason = "equals a test query but for case, punctuation or spaces"
	reasonTestSource    Reason = "source is relevant to a test query"
)

// TestQueries drops the queries that copy a test query, because training on test queries invalidates the evaluation. It
// checks all queries, including queries that a person wrote.
//
// An exact copy (ReasonTestQuery) has the same text apart from surrounding spaces. A near-copy (ReasonNearTestQuery)
// has the same words in the same order after normalisation: Unicode form NFKC, full case folding, removal of invisible
// characters (category Cf, such as a soft hyphen), and all characters except letters, digits and marks as separators. A
// text without words is compared unchanged. A paraphrase does not count as a copy.
func TestQueries(queries, test []retort.Query) Selection {
	exact, near := make(map[string]bool, len(test)), make(map[string]bool, len(test))
	for _, q := range test {
		exact[strings.TrimSpace(q.Text)] = true
		near[sameText(q.Text)] = true
	}
	dropped := map[int]Drop{}
	for i, q := range queries {
		switch {
		case exact[strings.TrimSpace(q.Text)]:
			dropped[i] = Drop{i, ReasonTestQuery, -1}
		case near[sameText(q.Text)]:
			dropped[i] = Drop{i, ReasonNearTestQuery, -1}
		}
	}
	return selectAll(len(queries), dropped)
}

// TestSources drops the queries whose source is relevant to a test query, so that training and test share no passage.
// relevant holds the ids of these passages. This protocol is stricter than usual: specialising a retriever on the
// corpus that it searches, without judgements, is legitimate. It does not detect copies of a passage under another id.
func TestSources(queries []retort.Query, relevant map[string]bool) Selection {
	dropped := map[int]Drop{}
	for i, q := range queries {
		if q.Source != "" && relevant[q.Source] {
			dropped[i] = Drop{i, reasonTestSource, -1}
		}
	}
	return selectAll(len(queries), dropped)
}

// sameText returns a key that is equal for texts with the same words in the same order, ignoring accents. A text
// without words is its own key. Marks of other scripts belong to the words and are kept.
func sameText(text string) string {
	folded := norm.NFKD.String(cases.Fold().String(norm.NFKC.String(text)))
	shown := strings.Map(func(r rune) rune {
		if showsNothing(r) || isAccent(r) {
			return -1
		}
		return r
	}, folded)
	if words := lowerWords(shown); words != "" {
		return words
	}
	return strings.TrimSpace(text)
}

func showsNothing(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// isAccent reports whether r is a combining mark of Latin, Greek or Cyrillic letters, which many people omit.
func isAccent(r rune) bool { return r >= 0x300 && r <= 0x36F }
