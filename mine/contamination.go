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

// TestQueries drops the queries that copy one of test: who trains on what is measured later measures memory. All given
// are looked at, a person's too.
//
// An exact copy (ReasonTestQuery) has the same text, spaces around it aside. A near-copy (ReasonNearTestQuery) has the
// same words in the same order: both texts are brought to Unicode's form NFKC, their case is folded (Unicode's full
// case folding), characters that show nothing (category Cf, such as a soft hyphen) are removed, and whatever is no
// letter, digit or mark parts words. A text without words is compared as it is. A paraphrase is no copy.
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

// TestSources drops the queries whose source is one of the passages, given by id, that are relevant to test queries, so
// that no passage is shared by training and test. It is the stricter protocol: a search is usually specialised on the
// very corpus that it is to find things in, without judgements, and then such sources are fair. Copies of a passage
// under another id are not looked for.
func TestSources(queries []retort.Query, relevant map[string]bool) Selection {
	dropped := map[int]Drop{}
	for i, q := range queries {
		if q.Source != "" && relevant[q.Source] {
			dropped[i] = Drop{i, reasonTestSource, -1}
		}
	}
	return selectAll(len(queries), dropped)
}

// sameText is equal for texts with the same words in the same order, with their accents or without; a text without
// words is compared as it is. Marks of other scripts are letters of words, and stay.
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

// isAccent knows the marks of Latin, Greek and Cyrillic letters, which many people don't type.
func isAccent(r rune) bool { return r >= 0x300 && r <= 0x36F }
