package causallm

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadGGUFFilesAreNamedErrors(t *testing.T) {
	good, err := os.ReadFile("testdata/llama-tied.gguf")
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		harm func(t *testing.T, data []byte) []byte
		want string
	}{
		{"cut short", func(_ *testing.T, data []byte) []byte { return data[:len(data)-1000] }, "bad.gguf"},
		{"cut in the metadata", func(_ *testing.T, data []byte) []byte { return data[:700] }, "bad.gguf"},
		{"empty", func(*testing.T, []byte) []byte { return nil }, "bad.gguf"},
		{"no GGUF", func(*testing.T, []byte) []byte { return []byte("hello, I am not a language model at all") }, "bad.gguf"},
		{
			"another architecture",
			func(_ *testing.T, data []byte) []byte {
				return bytes.ReplaceAll(data, []byte("llama"), []byte("mamba"))
			},
			`general.architecture is "mamba"; llama (Llama 2 and 3, SmolLM2), qwen2 (Qwen2, Qwen2.5), qwen3, gemma, ` +
				`gemma2 and the text model of gemma3 are supported`,
		},
		{
			"unknown quantisation",
			func(t *testing.T, data []byte) []byte {
				name := []byte("output_norm.weight")
				at := bytes.Index(data, name)
				require.Positive(t, at)
				data[at+len(name)+4+8] = 24 // behind the number of dimensions and the one dimension: the type
				return data
			},
			"has type I8, which is not supported; use a file with types among F32, F16",
		},
		{
			"a missing tensor",
			func(_ *testing.T, data []byte) []byte {
				return bytes.ReplaceAll(data, []byte("token_embd.weight"), []byte("token_none.weight"))
			},
			"no tensor token_embd.weight",
		},
		{
			"no tokens",
			func(_ *testing.T, data []byte) []byte {
				return bytes.ReplaceAll(data, []byte("tokenizer.ggml.tokens"), []byte("tokenizer.ggml.nothin"))
			},
			"the file has no tokenizer",
		},
		{
			"no width",
			func(_ *testing.T, data []byte) []byte {
				return bytes.ReplaceAll(data, []byte("llama.embedding_length"), []byte("llama.embedding_nothin"))
			},
			"the hidden size is 0 or missing",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.gguf")
			require.NoError(t, os.WriteFile(path, c.harm(t, bytes.Clone(good)), 0o644))
			d, err := describe(path)
			if err == nil { // what only the reading of the weights finds
				_, err = d.weights.read("model.norm.weight", d.config.hidden)
				require.NoError(t, d.close())
			}
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "bad.gguf")
		})
	}
}
