//go:build libtorch

package transformer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

// The reference is Encode, whose poolings other tests compare with sentence-transformers.
func TestOnnxruntimePoolsAsEncodeDoes(t *testing.T) {
	g := readModelGolden(t, "tiny")
	var networks checkedONNX
	for _, config := range []string{
		`{"pooling_mode":["max","weightedmean"]}`,
		`{"pooling_mode":["lasttoken","mean_sqrt_len_tokens","cls"]}`,
		`{"pooling_mode":["max","weightedmean"],"include_prompt":false}`,
		`{"pooling_mode":["mean","mean_sqrt_len_tokens","cls","lasttoken"],"include_prompt":false}`,
	} {
		for _, settings := range []string{
			`{"prompts":{"query":"query: ","document":"passage: "}}`,
			`{"prompts":{"query":"query: ","document":"passage: "},"truncate_dim":20}`,
			`{"prompts":{"query":"query: ","document":"passage: "},"truncate_dim":20,"similarity_fn_name":"dot"}`,
		} {
			dir := changedFolder(t, "tiny", func(dir string) {
				write(t, dir, "1_Pooling/config.json", config)
				write(t, dir, sentenceTransformersJSON, settings)
			})
			m := openModel(t, dir, Options{})
			f := exported(t, m.folder.Only(encoder.Query))
			networks.add(t, f.Query.Tower,
				batchOf(t, &f.Query, g.Query.Texts, rowsOf(encode(t, m, encoder.Query, g.Query.Texts))))
		}
	}
	networks.inPython(t)
}

// RETORT_MODEL is a real model, such as all-MiniLM-L6-v2.
func TestOnnxruntimeComputesARealModelAsEncodeDoes(t *testing.T) {
	dir := os.Getenv("RETORT_MODEL")
	if dir == "" {
		t.Skip("set RETORT_MODEL to a model folder")
	}
	m := openModel(t, dir, Options{})
	var texts []string
	for words := 1; words < 300; words = 2*words + 1 {
		texts = append(texts, longText(words))
	}
	f := exported(t, m.folder)
	var networks checkedONNX
	networks.add(t, f.Query.Tower, batchOf(t, &f.Query, texts, rowsOf(encode(t, m, encoder.Query, texts))))
	networks.inPython(t)
	require.NoFileExists(t, filepath.Join(f.Dir, weightsFile))
}
