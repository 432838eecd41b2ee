package causallm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/generate"
)

// ask makes a prompt of a model that could be described, as Open's callers do.
func ask(t *testing.T, d *description) {
	t.Helper()
	r := generate.Request{Prompt: chat("A passage."), MaxTokens: 4}
	_, _ = d.text.prompt(r, false, 1000)
	if d.text.template != nil {
		_, _ = d.text.prompt(r, true, 1000)
	}
	require.NoError(t, d.close())
}

// FuzzFolder: the small files of a model folder, whatever they hold, are read or refused.
func FuzzFolder(f *testing.F) {
	files := []string{"config.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"}
	for _, model := range []string{"llama-tied", "qwen2", "llama3-sharded", "qwen3", "gemma2", "gemma3"} {
		var data [4]string
		for i, name := range files {
			raw, err := os.ReadFile(filepath.Join("testdata", model, name))
			require.NoError(f, err)
			data[i] = string(raw)
		}
		f.Add(data[0], data[1], data[2], data[3])
	}
	tokenizer, err := os.ReadFile("testdata/llama-tied/tokenizer.json")
	require.NoError(f, err)
	weights, err := filepath.Abs("testdata/llama-tied/model.safetensors")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, config, tokenizerConfig, generationConfig, template string) {
		dir := t.TempDir()
		for i, content := range []string{config, tokenizerConfig, generationConfig, template} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, files[i]), []byte(content), 0o600))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizer, 0o600))
		require.NoError(t, os.Symlink(weights, filepath.Join(dir, "model.safetensors")))
		d, err := describe(dir)
		if err != nil {
			require.ErrorContains(t, err, dir)
			return
		}
		ask(t, d)
	})
}

// FuzzGGUF: a file of any content is read or refused.
func FuzzGGUF(f *testing.F) {
	for _, name := range []string{"llama-tied.gguf", "qwen2.gguf", "qwen3.gguf", "gemma2.gguf", "gemma3.gguf", "quantised.gguf"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "m.gguf")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		d, err := describe(path)
		if err != nil {
			require.ErrorContains(t, err, path)
			return
		}
		ask(t, d)
	})
}
