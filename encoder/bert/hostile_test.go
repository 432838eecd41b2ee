package bert

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A quadratic step would take minutes for one of these.
func TestLongTextsAreTokenisedInLinearTime(t *testing.T) {
	tokenizer, err := LoadTokenizer("testdata/tiny")
	require.NoError(t, err)
	const size = 1 << 20
	for name, unit := range map[string]string{
		"letters": "a", "words": "word ", "marks": "\u0301", "reordered marks": "\u0316\u0301",
		"marks on a letter": "e\u0301", "spaces": " ", "full stops": ".",
		"Chinese": "中", "Hangul": "각", "joined emoji": "👩\u200d", "masks": "[MASK]", "half a mask": "[MAS",
		"no UTF-8": "\xff", "control": "\x01",
	} {
		for _, limit := range []int{512, 1 << 30} {
			start := time.Now()
			tokenizer.Encode(strings.Repeat(unit, size/len(unit)), limit)
			took := time.Since(start)
			require.Less(t, took, 20*time.Second, "%s", name)
			if took > time.Second {
				t.Logf("%s: %v", name, took.Round(time.Millisecond))
			}
		}
	}
}
