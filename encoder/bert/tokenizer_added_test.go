package bert

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadSpecialTokensAreErrorsThatNameFileAndKey(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"a number": {
			tokenizerConfig, `{"cls_token":3}`,
			"dir/tokenizer_config.json: cls_token: a number where a string is wanted",
		},
		"an object without text": {
			tokenizerConfig, `{"cls_token":{"lstrip":true}}`,
			"dir/tokenizer_config.json: cls_token has no content",
		},
		"an empty name": {
			specialTokens, `{"mask_token":""}`,
			"dir/special_tokens_map.json: mask_token has no content",
		},
		"a list of numbers": {
			tokenizerConfig, `{"extra_special_tokens":["a",3]}`,
			"dir/tokenizer_config.json: extra_special_tokens [1]: a number where",
		},
		"a list of empty objects": {
			tokenizerConfig, `{"additional_special_tokens":[{}]}`,
			"additional_special_tokens [0]: no content",
		},
		"no list": {
			tokenizerConfig, `{"additional_special_tokens":"a"}`,
			"additional_special_tokens: a string where an array is wanted",
		},
		"no id": {
			tokenizerConfig, `{"added_tokens_decoder":{"x":{"content":"a"}}}`,
			"added_tokens_decoder: x is not an id",
		},
		"no token": {
			tokenizerConfig, `{"added_tokens_decoder":{"1":null}}`,
			"added_tokens_decoder: 1 is not a token",
		},
		"no id of an added token": {addedTokens, `{"a":"b"}`, "dir/added_tokens.json: a has no id"},
		"a broken length": {
			tokenizerConfig, `{"model_max_length":9.5}`,
			"model_max_length is 9.5; a whole number is needed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newTokenizer("dir", []tokenizerFile{{vocabTXT, testVocab(t)}, {c.file, []byte(c.text)}})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestTextThatIsCutOnTheLeftKeepsItsEnd(t *testing.T) {
	files := []tokenizerFile{{vocabTXT, testVocab(t)}, {tokenizerConfig, []byte(`{"truncation_side":"left"}`)}}
	left, err := newTokenizer("dir", files)
	require.NoError(t, err)
	require.True(t, left.CutsLeft())
	whole := testTokenizer(t).Encode("a reader of the scanner reads tokens", 1000)
	require.Equal(t, whole, left.Encode("a reader of the scanner reads tokens", 1000))
	for limit := 2; limit < len(whole); limit++ {
		got := left.Encode("a reader of the scanner reads tokens", limit)
		require.Len(t, got, limit)
		require.Equal(t, whole[0], got[0])
		require.Equal(t, whole[len(whole)-limit+1:], got[1:])
	}
}

// Whatever the files beside the vocabulary hold, the tokenizer is refused or works.
func FuzzTokenizerSettings(f *testing.F) {
	for _, config := range []string{
		`{}`, `{"tokenizer_class":"TokenizersBackend"}`,
		`{"added_tokens_decoder":{"7":{"content":"read","normalized":true}}}`,
		`{"extra_special_tokens":{"a":"b"},"cls_token":null}`, `{"truncation_side":"left","model_max_length":1e30}`, `[`,
		`null`,
	} {
		f.Add([]byte(config), []byte(`{"additional_special_tokens":["read"]}`), []byte(`{"read":400}`))
	}
	f.Fuzz(func(t *testing.T, config, specials, added []byte) {
		files := []tokenizerFile{
			testTokenizerJSON(t, func(map[string]any) {}),
			{tokenizerConfig, config},
			{specialTokens, specials},
			{addedTokens, added},
		}
		tokenizer, err := newTokenizer("dir", files)
		if err != nil {
			return
		}
		for _, limit := range []int{2, 5, 64} {
			ids := tokenizer.Encode("read the [MASK] Naïve file \xff <x>", limit)
			require.LessOrEqual(t, len(ids), limit)
			for _, id := range ids {
				require.Less(t, int(id), tokenizer.VocabSize())
			}
		}
	})
}

// Whatever config_sentence_transformers.json and sentence_bert_config.json hold, the folder is refused or has sound
// limits.
func FuzzSentenceTransformersSettings(f *testing.F) {
	f.Add([]byte(`{"prompts":{"query":"q"},"truncate_dim":4}`), []byte(`{"max_seq_length":9}`))
	f.Add([]byte(`{"similarity_fn_name":"dot"}`), []byte(`{"processing_kwargs":{"text":{"max_length":8}}}`))
	f.Fuzz(func(t *testing.T, sentence, sbert []byte) {
		dir := changedFolder(t, "tiny", func(dir string) {
			write(t, dir, sentenceTransformersJSON, string(sentence))
			write(t, dir, sentenceBERTJSON, string(sbert))
		})
		folder, err := ReadFolder(dir, Options{})
		if err != nil {
			return
		}
		for _, side := range []*Side{&folder.Query, &folder.Passage} {
			require.GreaterOrEqual(t, side.Tokens, 3)
			require.LessOrEqual(t, side.Tokens, side.Tower.Config.MaxPositions)
		}
		require.Positive(t, folder.Dim())
	})
}
