package generate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestAFingerprintChangesWithWhatDecidesTheQueries(t *testing.T) {
	fingerprint := func(passages []retort.Passage, o Options) string {
		corpus, err := retort.NewCorpus(passages)
		require.NoError(t, err)
		e, err := NewExtractive(t.Context(), corpus, o)
		require.NoError(t, err)
		return e.Fingerprint()
	}
	plain := fingerprint(symbols, Options{})
	require.Len(t, plain, 64)
	require.Equal(t, plain, fingerprint(symbols, Options{}))
	require.Equal(t, plain, fingerprint(symbols, Options{Types: extractiveTypes(), PerPassage: 5, MinWords: 4, MaxWords: 20, MaxChars: 2048}), "the defaults, said")
	seen := map[string]string{plain: "plain"}
	for name, other := range map[string]string{
		"types":       fingerprint(symbols, Options{Types: []string{TypeTitle}, PerPassage: 5}),
		"per passage": fingerprint(symbols, Options{PerPassage: 2}),
		"seed":        fingerprint(symbols, Options{Seed: 2}),
		"min words":   fingerprint(symbols, Options{MinWords: 3}),
		"max words":   fingerprint(symbols, Options{MaxWords: 12}),
		"max chars":   fingerprint(symbols, Options{MaxChars: 4096}),
		"corpus":      fingerprint(symbols[1:], Options{}),
		"a word":      fingerprint(append(symbols[1:len(symbols):len(symbols)], retort.Passage{ID: "x", Title: symbols[0].Title, Text: symbols[0].Text + " quokka"}), Options{}),
	} {
		require.NotContains(t, seen, other, name)
		seen[other] = name
	}
}
