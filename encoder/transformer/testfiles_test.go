package transformer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/tokenizer"
)

// The files of a tokenizer.
const (
	tokenizerJSON   = tokenizer.File
	tokenizerConfig = tokenizer.ConfigFile
	specialTokens   = "special_tokens_map.json"
	vocabTXT        = "vocab.txt"
	addedTokens     = "added_tokens.json"
)

func readGolden(t testing.TB, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash(path))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, v))
}
