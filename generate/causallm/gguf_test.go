package causallm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
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
				dimensionsOf(t, data, "output_norm.weight")[8] = 24 // behind the one dimension: the type
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
			"a missing weight",
			func(_ *testing.T, data []byte) []byte {
				return bytes.ReplaceAll(data, []byte("blk.0.ffn_up.weight"), []byte("blk.0.ffn_no.weight"))
			},
			`no tensor "blk.0.ffn_up.weight"`,
		},
		{
			"a weight on its side",
			func(t *testing.T, data []byte) []byte {
				dimensions := dimensionsOf(t, data, "blk.0.ffn_up.weight")
				in, out := bytes.Clone(dimensions[:8]), bytes.Clone(dimensions[8:16])
				copy(dimensions, slices.Concat(out, in))
				return data
			},
			`tensor "blk.0.ffn_up.weight" has shape [48 64]; by the file's metadata it is [64 48]`,
		},
		{
			"fewer embeddings than tokens",
			func(t *testing.T, data []byte) []byte {
				binary.LittleEndian.PutUint64(dimensionsOf(t, data, "token_embd.weight")[8:], 300)
				return data
			},
			"the model's number of embeddings is 300, the tokenizer has ids up to 383",
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
				_, errUp := d.weights.read("model.layers.0.mlp.up_proj.weight", d.config.inner, d.config.hidden)
				err = errors.Join(err, errUp)
				require.NoError(t, d.close())
			}
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "bad.gguf")
		})
	}
}

// dimensionsOf returns the bytes behind a tensor's name and number of dimensions.
func dimensionsOf(t *testing.T, data []byte, name string) []byte {
	t.Helper()
	at := bytes.Index(data, []byte(name))
	require.Positive(t, at)
	return data[at+len(name)+4:]
}
