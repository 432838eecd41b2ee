package transformer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

// FuzzFolder: the small files of a model folder, whatever they hold, are read or refused.
func FuzzFolder(f *testing.F) {
	files := []string{
		"config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
		"config_sentence_transformers.json", "tokenizer_config.json",
	}
	const tiny = "testdata/tiny"
	var data [6]string
	for i, name := range files {
		raw, err := os.ReadFile(filepath.Join(tiny, name))
		if err == nil {
			data[i] = string(raw)
		}
	}
	f.Add(data[0], data[1], data[2], data[3], data[4], data[5])
	f.Add(data[0], data[1], data[2], data[3], `{"prompts": {"query": "q: "}, "default_prompt_name": "query"}`,
		`{"model_max_length": 1e30}`)
	f.Add(data[0], `[{"idx": 0, "path": "../x", "type": "sentence_transformers.models.Transformer"}]`, data[2], "", "", "")
	f.Add(`{"num_hidden_layers": 1073741824}`, "", "", "", "", "")
	tokenizer, err := os.ReadFile(filepath.Join(tiny, "tokenizer.json"))
	require.NoError(f, err)
	weights, err := filepath.Abs(filepath.Join(tiny, "model.safetensors"))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, config, modules, pooling, sentences, model, tokenizerConfig string) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o755))
		for i, content := range []string{config, modules, pooling, sentences, model, tokenizerConfig} {
			if content != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, files[i]), []byte(content), 0o600))
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizer, 0o600))
		require.NoError(t, os.Symlink(weights, filepath.Join(dir, "model.safetensors")))
		folder, err := ReadFolder(dir, Options{})
		if err != nil {
			require.ErrorContains(t, err, dir)
			return
		}
		for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
			side := folder.Side(role)
			ids, _, err := side.Tokenize("a text of words")
			require.NoError(t, err)
			require.LessOrEqual(t, len(ids), side.Tokens)
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
			require.LessOrEqual(t, side.Tokens, side.Tower.config.MaxPositions)
		}
		require.Positive(t, folder.Dim())
	})
}
