package transformer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

func TestTextsThatAreCutAreCounted(t *testing.T) {
	f, err := ReadFolder("testdata/tiny", Options{QueryTokens: 8, PassageTokens: 16})
	require.NoError(t, err)
	tokens := func(role encoder.Role, text string) int {
		side := f.Side(role)
		ids, _, err := side.Tower.tokenizer.EncodeText(side.Prompt+text, 0)
		require.NoError(t, err)
		return len(ids)
	}
	for role, limit := range map[encoder.Role]int{encoder.Query: 8, encoder.Passage: 16} {
		var texts []string
		longer := 0
		for n := range 30 {
			text := strings.Repeat("the ", n)
			texts = append(texts, text, strings.TrimSpace(text), text+" \n")
			if tokens(role, text) > limit {
				longer += 3
			}
		}
		cut, got, err := f.countTruncated(t.Context(), role, texts)
		require.NoError(t, err)
		require.Equal(t, limit, got)
		require.Equal(t, longer, cut)
		require.Positive(t, cut)
		require.Less(t, cut, len(texts))
	}
	_, _, err = f.countTruncated(t.Context(), 7, nil)
	require.Error(t, err)
}
