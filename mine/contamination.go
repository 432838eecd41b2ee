package mine

import (
	"strings"

	"github.com/retort-ir/retort"
)

// The reasons of the filters against contamination.
const (
	ReasonTestQuery  Reason = "equals a test query"
	ReasonTestSource Reason = "source is relevant to a test query"
)

// TestQueries drops the queries that equal one of test, letter case, punctuation and space aside: who trains on what is
// measured later measures memory. All given are looked at, a person's too.
func TestQueries(queries, test []retort.Query) Selection {
	tested := make(map[string]bool, len(test))
	for _, q := range test {
		tested[sameText(q.Text)] = true
	}
	dropped := map[int]Drop{}
	for i, q := range queries {
		if tested[sameText(q.Text)] {
			dropped[i] = Drop{i, ReasonTestQuery, -1}
		}
	}
	return selectAll(len(queries), dropped)
}

// TestSources drops the queries whose source is one of the passages, given by id, that are relevant to test queries, so
// that no passage is shared by training and test. It is the stricter protocol: a search is usually specialised on the very
// corpus that it is to find things in, without judgements, and then such sources are fair. Copies under another id are
// found only where [NearDuplicates] has dropped them.
func TestSources(queries []retort.Query, relevant map[string]bool) Selection {
	dropped := map[int]Drop{}
	for i, q := range queries {
		if q.Source != "" && relevant[q.Source] {
			dropped[i] = Drop{i, ReasonTestSource, -1}
		}
	}
	return selectAll(len(queries), dropped)
}

// sameText is equal for texts with the same words in the same order; a text without words stands for itself.
func sameText(text string) string {
	if words := normalise(text); words != "" {
		return words
	}
	return strings.TrimSpace(text)
}
