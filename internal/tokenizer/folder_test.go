package tokenizer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadSpecialTokensAreErrorsThatNameFileAndKey(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"a number": {
			ConfigFile, `{"cls_token":3}`,
			"dir/tokenizer_config.json: cls_token: a number where a string is wanted",
		},
		"an object without text": {
			ConfigFile, `{"cls_token":{"lstrip":true}}`,
			"dir/tokenizer_config.json: cls_token has no content",
		},
		"an empty name": {
			specialsFile, `{"mask_token":""}`,
			"dir/special_tokens_map.json: mask_token has no content",
		},
		"a list of numbers": {
			ConfigFile, `{"extra_special_tokens":["a",3]}`,
			"dir/tokenizer_config.json: extra_special_tokens [1]: a number where",
		},
		"a list of empty objects": {
			ConfigFile, `{"additional_special_tokens":[{}]}`,
			"additional_special_tokens [0]: no content",
		},
		"no list": {
			ConfigFile, `{"additional_special_tokens":"a"}`,
			"additional_special_tokens: a string where an array is wanted",
		},
		"no id": {
			ConfigFile, `{"added_tokens_decoder":{"x":{"content":"a"}}}`,
			"added_tokens_decoder: x is not an id",
		},
		"no token": {
			ConfigFile, `{"added_tokens_decoder":{"1":null}}`,
			"added_tokens_decoder: 1 is not a token",
		},
		"no id of an added token": {addedTokensFile, `{"a":"b"}`, "dir/added_tokens.json: a has no id"},
		"a broken length": {
			ConfigFile, `{"model_max_length":9.5}`,
			"model_max_length is 9.5; a whole number is needed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadBERT("dir", []file{{vocabFile, testVocab(t)}, {c.file, []byte(c.text)}})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestTextThatIsCutOnTheLeftKeepsItsEnd(t *testing.T) {
	files := []file{{vocabFile, testVocab(t)}, {ConfigFile, []byte(`{"truncation_side":"left"}`)}}
	left, err := loadBERT("dir", files)
	require.NoError(t, err)
	require.True(t, left.cutLeft)
	whole := encodeText(t, testTokenizer(t), "a reader of the scanner reads tokens", 1000)
	require.Equal(t, whole, encodeText(t, left, "a reader of the scanner reads tokens", 1000))
	for limit := 2; limit < len(whole); limit++ {
		got := encodeText(t, left, "a reader of the scanner reads tokens", limit)
		require.Len(t, got, limit)
		require.Equal(t, whole[0], got[0])
		require.Equal(t, whole[len(whole)-limit+1:], got[1:])
	}
}

func TestSpecialTokensThatTokenizerJSONLacksAreRefusedInAnotherClass(t *testing.T) {
	const listed = `{"added_tokens":[{"id":0,"content":"<s>","special":true},{"id":1,"content":"<pad>","special":true}],
		"model":{"type":"BPE","vocab":{"<s>":0,"<pad>":1,"a":2},"merges":[]},
		"post_processor":{"type":"BertProcessing","cls":["<s>",0],"sep":["<s>",0]}}`
	for name, c := range map[string]struct {
		config, specials string
		left             bool
		err              string
	}{
		"none": {`{}`, `{}`, false, ""},
		"listed": {
			`{"bos_token":"<s>","pad_token":{"content":"<pad>"},"mask_token":null}`, `{}`, false,
			"",
		},
		"a named one": {
			`{"bos_token":"<b>"}`, `{}`, false,
			`tokenizer.json: bos_token of tokenizer_config.json names "<b>", which added_tokens lacks`,
		},
		"an object": {`{"eos_token":{"content":"<e>"}}`, `{}`, false, `eos_token of tokenizer_config.json names "<e>"`},
		"a list": {
			`{"additional_special_tokens":["<s>",{"content":"<l>"}]}`, `{}`, false,
			`additional_special_tokens of tokenizer_config.json names "<l>"`,
		},
		"an object of names": {
			`{"extra_special_tokens":{"image_token":"<i>"}}`, `{}`, false,
			`extra_special_tokens of tokenizer_config.json names "<i>"`,
		},
		"a map": {
			`{}`, `{"cls_token":"<c>"}`, false,
			`cls_token of special_tokens_map.json names "<c>"`,
		},
		"a map that is not read": {
			`{"added_tokens_decoder":{"0":{"content":"<s>"}}}`, `{"cls_token":"<c>"}`, false,
			"",
		},
		"a decoder": {
			`{"added_tokens_decoder":{"0":{"content":"<d>"}}}`, `{}`, false,
			`added_tokens_decoder of tokenizer_config.json names "<d>"`,
		},
		"left":                    {`{"truncation_side":"left"}`, `{}`, true, ""},
		"left, as the map has it": {`{"truncation_side":"right"}`, `{"truncation_side":"left"}`, true, ""},
		"a side that there is not": {
			`{"truncation_side":"top"}`, `{}`, false,
			`truncation_side is "top"; left and right are supported`,
		},
		"a template is not a token":     {`{"chat_template":"<x>"}`, `{}`, false, ""},
		"a file that is no JSON object": {`[]`, `{}`, false, "tokenizer_config.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{File: listed, ConfigFile: c.config, specialsFile: c.specials} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
			}
			got, err := Load(dir, Options{})
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.left, got.cutLeft)
		})
	}
}

// The padding token of a language model is not used, and its padding may be on the left.
func TestTokensOfPromptsNeedNoPadding(t *testing.T) {
	const model = `{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"padding":{"direction":"Left"}}`
	config := `{"pad_token":"<p>","padding_side":"left","tokenizer_class":"LlamaTokenizer","bos_token":""}`
	files := []file{{File, []byte(model)}, {ConfigFile, []byte(config)}}
	_, err := fromFiles("dir", files, Options{})
	require.ErrorContains(t, err, "dir/tokenizer_config.json: bos_token has no content")
	tokenizer, err := fromFiles("dir", files, Options{Prompts: true})
	require.NoError(t, err)
	require.Equal(t, 1, tokenizer.Len())
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
		files := []file{
			testTokenizerJSON(t, func(map[string]any) {}),
			{ConfigFile, config},
			{specialsFile, specials},
			{addedTokensFile, added},
		}
		tokenizer, err := loadBERT("dir", files)
		if err != nil {
			return
		}
		for _, limit := range []int{2, 5, 64} {
			ids := encodeText(t, tokenizer, "read the [MASK] Naïve file \xff <x>", limit)
			require.LessOrEqual(t, len(ids), limit)
			for _, id := range ids {
				require.Less(t, int(id), tokenizer.Len())
			}
		}
	})
}
