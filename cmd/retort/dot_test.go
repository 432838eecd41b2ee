package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dotModel is the folder tiny as a model that ranks by dot product, without Normalize.
func dotModel(t *testing.T) string {
	return tinyWith(t, map[string]string{
		"config_sentence_transformers.json": `{"similarity_fn_name":"dot","prompts":{"query":"query: ","document":"passage: "}}`,
		"modules.json": `[{"path":"","type":"sentence_transformers.models.Transformer"},
			{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]`,
	})
}

func tinyWith(t *testing.T, files map[string]string) string {
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, os.CopyFS(dir, os.DirFS(tiny)))
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return dir
}

// The order is the order of sentence-transformers' SentenceTransformer.similarity, which differs by cosine:
// encoder/transformer/testdata/keys/make_keys.py.
func TestSearchRanksByDotProductWhereTheFolderSaysSo(t *testing.T) {
	var golden struct {
		Queries, Passages []string
		Order             [][]int
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(tiny), "keys", "ranking.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &golden))
	dir := t.TempDir()
	corpus, vectors, model := filepath.Join(dir, "corpus.jsonl"), filepath.Join(dir, "vectors.npy"), dotModel(t)
	var lines strings.Builder
	for i, passage := range golden.Passages {
		require.NoError(t, json.NewEncoder(&lines).Encode(map[string]string{"_id": fmt.Sprint(i), "text": passage}))
	}
	require.NoError(t, os.WriteFile(corpus, []byte(lines.String()), 0o644))
	succeed(t, "embed", corpus, "-model", model, "-role", "passage", "-out", vectors, "-threads", "1")
	for i, query := range golden.Queries {
		for _, more := range [][]string{nil, {"-vectors", vectors}} {
			args := append([]string{"search", "-json", "-corpus", corpus, "-model", model, "-k", "20", "-threads", "1", query},
				more...)
			var got struct {
				Hits []struct {
					ID int `json:"_id,string"`
				}
			}
			require.NoError(t, json.Unmarshal([]byte(succeed(t, args...)), &got))
			var order []int
			for _, hit := range got.Hits {
				order = append(order, hit.ID)
			}
			require.Equal(t, golden.Order[i], order, query)
		}
	}
}

func TestAModelThatRanksByDotProductIsNotTrained(t *testing.T) {
	dir := collection(t, nil)
	code, _, stderr := cli(t.Context(), "distill", "-corpus", filepath.Join(dir, "corpus.jsonl"), "-model", dotModel(t),
		"-out", filepath.Join(t.TempDir(), "run"))
	require.Equal(t, exitFailure, code, stderr)
	require.Contains(t, stderr, "similarity_fn_name is dot and the vectors are not normalised")
	require.Contains(t, stderr, "add a Normalize module")
	require.NotContains(t, stderr, "encode passages")
}

func TestAPromptThatNothingUsesIsNamedOnce(t *testing.T) {
	model := tinyWith(t,
		map[string]string{"config_sentence_transformers.json": `{"prompts":{"query":"query: ","passage":"passage: "}}`})
	code, _, stderr := cli(t.Context(), "search", "-corpus", filepath.Join(collection(t, nil), "corpus.jsonl"), "-model",
		model, "file")
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, 1, strings.Count(stderr, `prompts has "passage", which neither queries nor passages use`), stderr)
	require.Contains(t, stderr, `set -passage-prompt to "passage: "`)
}
