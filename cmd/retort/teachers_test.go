package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ir/retort"
	"github.com/stretchr/testify/require"
)

func TestNoErrorHoldsTheCredentialsOfATeachersAddress(t *testing.T) {
	for _, spec := range []string{
		"rerankapi:tei:http://me:s3cret@host:8080#m",
		"rerankapi:tei:http://me:s3cret@host:8080",
		"rerankapi:tei:http://host/rerank?api_key=s3cret",
		"bm25+rerankapi:jina:http://host/rerank?api_key=s3cret#m",
		"x:http://me:s3cret@host#m",
		"0*bm25+rerankapi:tei:http://me:s3cret@host#m",
	} {
		_, err := (&teacherFlags{spec: spec}).expression("")
		require.Error(t, err, spec)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestAnAddressThatNoServerHasIsAUsageError(t *testing.T) {
	for spec, want := range map[string]string{
		"rerankapi:tei:http://x":     "want rerankapi:KIND:URL#MODEL",
		"rerankapi:magic:http://x#m": "Kind",
	} {
		_, err := (&teacherFlags{spec: spec}).expression("")
		require.ErrorIs(t, err, errUsage)
		require.ErrorContains(t, err, want)
	}
}

func TestARerankServerIsAskedForWhatTheFlagsSay(t *testing.T) {
	const message = "This model's maximum context length is 32 tokens. However, your prompt contains more."
	var fields []map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Documents []string
			Truncate  *int `json:"truncate_prompt_tokens"`
		}
		data, _ := io.ReadAll(r.Body)
		json.Unmarshal(data, &body)
		sent := map[string]any{}
		json.Unmarshal(data, &sent)
		fields = append(fields, sent)
		var results []map[string]any
		for i, d := range body.Documents {
			if len(strings.Fields(d)) > 32 && body.Truncate == nil {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"error":{"message":%q,"code":400}}`, message)
				return
			}
			results = append(results, map[string]any{"index": i, "relevance_score": len(d)})
		}
		json.NewEncoder(w).Encode(map[string]any{"results": results})
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	long := strings.Repeat("steam ", 40)
	corpus := filepath.Join(dir, "corpus.jsonl")
	require.NoError(t, os.WriteFile(corpus, []byte(`{"_id":"a","text":"clean the kettle"}
{"_id":"b","text":"the kettle `+long+`"}
{"_id":"c","text":"a kettle"}
`), 0o600))
	queries := filepath.Join(dir, "queries.jsonl")
	require.NoError(t, os.WriteFile(queries, []byte(`{"_id":"q","text":"kettle"}`), 0o600))
	score := func(more ...string) (string, string) {
		args := append([]string{
			"score", "-corpus", corpus, "-queries", queries, "-out", filepath.Join(dir, "out.jsonl"),
			"-teacher", "rerankapi:vllm:" + server.URL + "#m",
		}, more...)
		code, stdout, stderr := cli(t.Context(), args...)
		require.Equal(t, exitOK, code, stderr)
		return stdout, stderr
	}

	stdout, stderr := score("-json")
	require.Contains(t, stdout, `"refused":1`)
	require.Contains(t, stderr, "passage b, query q")
	require.Contains(t, stderr, "maximum context length is 32 tokens")
	lists, err := retort.LoadLists(filepath.Join(dir, "out.jsonl"))
	require.NoError(t, err)
	require.Len(t, lists[0].IDs, 3)
	for i, id := range lists[0].IDs {
		require.Equal(t, map[string]float64{"a": 16, "b": 8, "c": 8}[id], lists[0].Scores[i], "the lowest of its list for b")
	}

	stdout, stderr = score("-rerank-truncate")
	require.NotContains(t, stdout+stderr, "refuse")
	require.EqualValues(t, -1, fields[len(fields)-1]["truncate_prompt_tokens"])
	score("-rerank-extra", "truncate_prompt_tokens=16,user=me")
	require.EqualValues(t, 16, fields[len(fields)-1]["truncate_prompt_tokens"])
	require.Equal(t, "me", fields[len(fields)-1]["user"])

	for want, args := range map[string][]string{
		"need a -teacher with rerankapi":      {"-teacher", "bm25", "-rerank-truncate"},
		`-rerank-extra: "x": want NAME=VALUE`: {"-teacher", "rerankapi:tei:http://x#m", "-rerank-extra", "x"},
		"-rerank-extra: duplicate field x":    {"-teacher", "rerankapi:tei:http://x#m", "-rerank-extra", "x=1,x=2"},
	} {
		code, _, stderr := cli(t.Context(), append([]string{
			"score", "-corpus", corpus, "-queries", queries, "-out",
			filepath.Join(dir, "x.jsonl"),
		}, args...)...)
		require.Equal(t, exitUsage, code)
		require.Contains(t, stderr, want)
	}
}

func TestHelpSaysTheUsualTeacherUnderTeacher(t *testing.T) {
	for _, c := range []command{distillCommand, scoreCommand} {
		_, teacher, found := strings.Cut(c.usage, "  -teacher T ")
		require.True(t, found)
		teacher, _, _ = strings.Cut(teacher, "\n  -fuse")
		require.Contains(t, teacher, "\n                        (bm25", c.name)
	}
}
