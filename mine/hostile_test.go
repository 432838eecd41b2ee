package mine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/mine"
)

// A quadratic step would take minutes for one of these.
func TestLongTextsAreAnalysedInLinearTime(t *testing.T) {
	const size = 1 << 20
	for name, unit := range map[string]string{
		"letters": "a", "words": "word ", "marks": "\u0301", "marks on a letter": "e\u0301", "spaces": " ", "full stops": ".",
		"identifiers": "aB_c.", "Thai": "ก", "Hangul": "한", "Arabic": "ال", "elisions": "l'",
		"apostrophes": "'s", "Chinese": "中", "kana": "カ", "joined emoji": "👩\u200d", "endings": "ational", "slashes": "a/",
		"no UTF-8": "\xff", "flags": "🇩",
	} {
		text := strings.Repeat(unit, size/len(unit))
		for what, do := range map[string]func(){
			"english": func() { mine.English().Terms(text) },
			"code":    func() { mine.Code().Terms(text) },
			"the other languages": func() {
				for _, name := range mine.AnalyzerNames() {
					a, err := mine.AnalyzerNamed(name)
					require.NoError(t, err)
					a.Terms(text[:size/8])
				}
			},
		} {
			start := time.Now()
			do()
			took := time.Since(start)
			require.Less(t, took, 30*time.Second, "%s of %s", what, name)
			if took > time.Second {
				t.Logf("%s of %s: %v", what, name, took.Round(time.Millisecond))
			}
		}
	}
}
