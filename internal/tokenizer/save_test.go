package tokenizer

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyTheLimitOfATokenizerIsChanged(t *testing.T) {
	for name, c := range map[string]struct{ file, content, want string }{
		"model_max_length": {
			ConfigFile, `{"a": 1, "model_max_length" : 512, "b": "x"}`,
			`{"a": 1, "model_max_length" : 24, "b": "x"}`,
		},
		"as a large number": {
			ConfigFile, `{"model_max_length": 1000000000000000019884624838656}`,
			`{"model_max_length": 24}`,
		},
		"the right one": {ConfigFile, `{"model_max_length": 24}`, `{"model_max_length": 24}`},
		"none": {
			ConfigFile, `{"deep": {"model_max_length": 512}}`,
			`{"deep": {"model_max_length": 512}}`,
		},
		"behind a mark": {ConfigFile, "\ufeff{\"model_max_length\": 512}", "\ufeff{\"model_max_length\": 24}"},
		"truncation":    {File, "{\n \"truncation\": {\"stride\": 0, \"max_length\": 128 },\n \"model\": {\"vocab\": {\"max_length\": 7}}}", "{\n \"truncation\": {\"stride\": 0, \"max_length\": 24 },\n \"model\": {\"vocab\": {\"max_length\": 7}}}"},
		"truncation off": {
			File, `{"truncation": null, "max_length": 5}`,
			`{"truncation": null, "max_length": 5}`,
		},
		"no truncation":      {File, `{"model": {}}`, `{"model": {}}`},
		"a file without one": {"vocab.txt", "[PAD]\nmodel_max_length", "[PAD]\nmodel_max_length"},
		"truncation, indents": {
			File, "{\"version\": \"1.0\",\n  \"truncation\": {\n    \"max_length\": 64\n  }}",
			"{\"version\": \"1.0\",\n  \"truncation\": {\n    \"max_length\": 24\n  }}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := WithTokenLimit(c.file, []byte(c.content), 24)
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
	_, err := WithTokenLimit(File, []byte("{"), 24)
	require.ErrorContains(t, err, "tokenizer.json: ")
}

func FuzzWithTokenLimit(f *testing.F) {
	for _, seed := range []string{
		`{"truncation": {"max_length": 128}, "model_max_length": 5}`, `[]`, `null`,
		`{"truncation": null}`, "\ufeff{}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		for _, name := range []string{File, ConfigFile} {
			got, err := WithTokenLimit(name, []byte(content), 24)
			if err == nil && json.Valid([]byte(content)) {
				require.True(t, json.Valid(got), "%s", got)
			}
		}
	})
}
