package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

func TestATeacherIsReadFromItsDescription(t *testing.T) {
	for _, c := range []struct {
		spec string
		want []teacherMember
		name string
	}{
		{"bm25", []teacherMember{{1, "bm25", ""}}, "bm25"},
		{"bm25+student", []teacherMember{{1, "bm25", ""}, {1, "student", ""}}, "bm25 and student, fused by z-scores"},
		{"bm25,.5*student", []teacherMember{{1, "bm25", ""}, {.5, "student", ""}}, "bm25 and 0.5 x student, fused by z-scores"},
		{
			"crossencoder:models/a+b,c/minilm+2*bm25",
			[]teacherMember{{1, "crossencoder", "models/a+b,c/minilm"}, {2, "bm25", ""}},
			"crossencoder minilm and 2 x bm25, fused by z-scores",
		},
		{
			"rerankapi:cohere:https://x/a+2#model+1e-1*encoder:DIR",
			[]teacherMember{{1, "rerankapi", "cohere:https://x/a+2#model"}, {.1, "encoder", "DIR"}},
			"rerankapi cohere:https://x/a+2#model and 0.1 x encoder DIR, fused by z-scores",
		},
		{"crossencoder:bm25", []teacherMember{{1, "crossencoder", "bm25"}}, "crossencoder bm25"},
		{"crossencoder:bm25+bm25", []teacherMember{{1, "crossencoder", "bm25"}, {1, "bm25", ""}}, "crossencoder bm25 and bm25, fused by z-scores"},
		{"likelihood:/m/x.gguf", []teacherMember{{1, "likelihood", "/m/x.gguf"}}, "likelihood x.gguf"},
	} {
		got, err := parseTeacher(c.spec)
		require.NoError(t, err, c.spec)
		require.Equal(t, c.want, got, c.spec)
		require.Equal(t, c.name, describeTeacher(got, "z"))
	}
	for spec, want := range map[string]string{
		"":                           `"": want bm25, student,`,
		"bm":                         `"bm": want bm25`,
		"bm25+":                      `"+": want bm25`,
		"bm25+colbert:DIR":           `"+colbert:DIR": want bm25`,
		"crossencoder":               "crossencoder needs a path or address",
		"crossencoder:":              "crossencoder needs a path or address",
		"bm25:x":                     "bm25 takes no path",
		"0*bm25":                     `the weight "0" is not a number above 0`,
		"-1*bm25":                    `the weight "-1" is not a number above 0`,
		"1e999*bm25":                 `the weight "1e999" is not a number above 0`,
		"bm25+student+2*bm25":        "names bm25 twice",
		"encoder:a+bm25:x":           "bm25 takes no path",
		"rerankapi:tei:http://x":     "want rerankapi:KIND:URL#MODEL",
		"rerankapi:magic:http://x#m": "Kind",
		"student bm25":               `"student bm25": want bm25`,
	} {
		_, err := parseTeacher(spec)
		require.ErrorContains(t, err, want, spec)
	}
}

func TestNoErrorHoldsTheCredentialsOfATeachersAddress(t *testing.T) {
	for _, spec := range []string{
		"rerankapi:tei:http://me:s3cret@host:8080#m",
		"rerankapi:tei:http://me:s3cret@host:8080",
		"rerankapi:tei:http://host/rerank?api_key=s3cret",
		"bm25+rerankapi:jina:http://host/rerank?api_key=s3cret#m",
		"x:http://me:s3cret@host#m",
		"0*bm25+rerankapi:tei:http://me:s3cret@host#m",
	} {
		_, err := parseTeacher(spec)
		require.Error(t, err, spec)
		require.NotContains(t, err.Error(), "s3cret")
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
		"-rerank-extra: x is given twice":     {"-teacher", "rerankapi:tei:http://x#m", "-rerank-extra", "x=1,x=2"},
	} {
		code, _, stderr := cli(t.Context(), append([]string{
			"score", "-corpus", corpus, "-queries", queries, "-out",
			filepath.Join(dir, "x.jsonl"),
		}, args...)...)
		require.Equal(t, exitUsage, code)
		require.Contains(t, stderr, want)
	}
}

func FuzzParseTeacher(f *testing.F) {
	for _, spec := range []string{"bm25+student", ".5*crossencoder:a+b,2*bm25", "encoder:bm25+bm25", "rerankapi:tei:http://x#m", "1e9*likelihood:"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		members, err := parseTeacher(spec)
		if err != nil {
			return
		}
		require.NotEmpty(t, members)
		again := ""
		for i, m := range members {
			require.Positive(t, m.weight)
			if i > 0 {
				again += "+"
			}
			again += fmt.Sprintf("%v*%s", m.weight, m.kind)
			if m.arg != "" {
				again += ":" + m.arg
			}
		}
		back, err := parseTeacher(again)
		if err == nil { // 1e+06 has a plus
			require.Equal(t, members, back)
		}
	})
}

func TestARerankerPutsTheFirstPassagesInTheTeachersOrder(t *testing.T) {
	corpus, err := retort.LoadCorpus(collection(t, nil) + "/corpus.jsonl")
	require.NoError(t, err)
	ranker := retrieverOf{{Index: 3, Score: 9}, {Index: 1, Score: 8}, {Index: 0, Score: 7}, {Index: 2, Score: 6}}
	last := teacher.Func(func(_ context.Context, _ retort.Query, ps []retort.Passage) ([]float64, error) {
		scores := make([]float64, len(ps))
		for i := range ps {
			scores[i] = float64(i)
		}
		return scores, nil
	})
	got, err := reranker{ranker, last, corpus, 3}.Search(t.Context(), make([]retort.Query, 2), 4)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, []mine.Hit{{Index: 0, Score: 4}, {Index: 1, Score: 3}, {Index: 3, Score: 2}, {Index: 2, Score: 1}}, got[1])
	got, err = reranker{ranker, last, corpus, 3}.Search(t.Context(), make([]retort.Query, 1), 1)
	require.NoError(t, err)
	require.Equal(t, 0, got[0][0].Index, "what is asked for is cut out of what is put in order")
	require.Len(t, got[0], 1)
}

// retrieverOf finds the same for every query.
type retrieverOf []mine.Hit

func (r retrieverOf) Search(_ context.Context, qs []retort.Query, k int) ([][]mine.Hit, error) {
	all := make([][]mine.Hit, len(qs))
	for i := range qs {
		all[i] = append([]mine.Hit{}, r[:min(k, len(r))]...)
	}
	return all, nil
}

func TestHelpSaysTheUsualTeacherUnderTeacher(t *testing.T) {
	for _, c := range []command{distillCommand, scoreCommand} {
		_, teacher, found := strings.Cut(c.usage, "  -teacher T ")
		require.True(t, found)
		teacher, _, _ = strings.Cut(teacher, "\n  -fuse")
		require.Contains(t, teacher, "without -teacher: bm25", c.name)
	}
}
