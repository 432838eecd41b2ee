package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// chatServer answers every chat with a question about a word of the passage, and counts the answers. What say returns
// instead, if it is not "", is the answer to a request with that text.
func chatServer(
	t *testing.T, say func(request string) (status int, answer string),
) (url string, answered *atomic.Int64) {
	t.Helper()
	t.Setenv("OPENAI_API_KEY", "")
	answered = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/models") {
			fmt.Fprint(w, `{"object":"list","data":[{"id":"tiny","object":"model"}]}`)
			return
		}
		var body struct {
			Messages []struct{ Content string } `json:"messages"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) == 0 {
			http.Error(w, `{"error":{"message":"what?"}}`, http.StatusBadRequest)
			return
		}
		last := body.Messages[len(body.Messages)-1].Content
		status, answer := http.StatusOK, ""
		if say != nil {
			status, answer = say(last)
		}
		if status != http.StatusOK {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error":{"message":"no"}}`)
			return
		}
		if answer == "" {
			words := strings.Fields(last)
			answer = fmt.Sprintf("What would a caller want from %s number %d?", words[len(words)/2], len(last))
		}
		answered.Add(1)
		json.NewEncoder(w).Encode(map[string]any{
			"id": "x", "object": "chat.completion", "model": "tiny",
			"choices": []any{
				map[string]any{
					"index": 0, "finish_reason": "stop",
					"message": map[string]any{"role": "assistant", "content": answer},
				},
			},
			"usage": map[string]any{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.001},
		})
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1", answered
}

// documented is requireDocumented without the names of types and reasons.
func documented(t *testing.T, r generateResult) {
	t.Helper()
	r.Types = nil
	if r.Answers != nil {
		answers := *r.Answers
		answers.Dropped = nil
		r.Answers = &answers
	}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	requireDocumented(t, data)
}

func TestGenerateMakesExtractiveQueries(t *testing.T) {
	dir := runFolder(t)
	out := succeed(t, "generate", "-corpus", dir+"/corpus.jsonl", "-types", "sentence,keywords", "-out", dir+"/made.jsonl",
		"-json")
	var r generateResult
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	documented(t, r)
	queries, err := retort.LoadQueries(dir + "/made.jsonl")
	require.NoError(t, err)
	require.Len(t, queries, r.Kept)
	require.Equal(t, 48, r.Passages)
	require.Equal(t, r.Kept, r.Types["sentence"]+r.Types["keywords"])
	require.Nil(t, r.Answers)
	require.NotContains(t, names(t, dir), "made.jsonl.answers")

	again := succeed(t, "generate", "-corpus", dir+"/corpus.jsonl", "-types", "sentence,keywords", "-out",
		dir+"/again.jsonl")
	require.Regexp(t,
		`^\S+again\.jsonl: \d+ queries from 48 passages \(\w+ \d+, \w+ \d+\), \d+ duplicates dropped, \d+ s\n$`, again)
	require.Equal(t, readString(t, dir+"/made.jsonl"), readString(t, dir+"/again.jsonl"))
	one := succeed(t, "generate", "-corpus", dir+"/corpus.jsonl", "-types", "sentence,keywords", "-per-passage", "1",
		"-out", dir+"/one.jsonl")
	require.NotEqual(t, again, one)
}

func TestGenerateAsksALanguageModelAndPaysForNothingTwice(t *testing.T) {
	dir := runFolder(t)
	url, answered := chatServer(t, func(request string) (int, string) {
		switch {
		case strings.Contains(request, "opens the file"):
			return http.StatusOK, "I'm sorry, but as an AI I cannot do that."
		case strings.Contains(request, "opens the map"):
			return http.StatusForbidden, ""
		}
		return http.StatusOK, ""
	})
	args := []string{
		"generate", "-corpus", dir + "/corpus.jsonl", "-generator", "llm", "-llm-url", url, "-llm-model", "tiny", "-llm-types", "question,claim",
		"-llm-per-passage", "2", "-llm-passages", "0", "-out", dir + "/made.jsonl", "-json",
	}
	code, out, stderr := cli(t.Context(), args...)
	require.Equal(t, exitOK, code, stderr)
	require.Contains(t, stderr, `no queries of passage \"p06\"`)
	var r generateResult
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	documented(t, r)
	require.Positive(t, r.Answers.Kept)
	require.EqualValues(t, 1, r.Answers.Failed)
	require.Equal(t, 2, r.Answers.Dropped["a refusal"])
	require.GreaterOrEqual(t, r.Answers.Requests, int64(94))
	require.InDelta(t, .001*float64(answered.Load()), r.Answers.Money, .002, "what Check asked may be counted or not")
	require.GreaterOrEqual(t, r.Answers.Tokens, int64(5*94))
	queries, err := retort.LoadQueries(dir + "/made.jsonl")
	require.NoError(t, err)
	for _, q := range queries {
		require.NotEmpty(t, q.Source)
		require.Contains(t, q.Origin, "tiny")
	}

	before, first := answered.Load(), readString(t, dir+"/made.jsonl")
	require.NoError(t, os.Remove(dir+"/made.jsonl"))
	code, out, stderr = cli(t.Context(), args...)
	require.Equal(t, exitOK, code, stderr)
	require.LessOrEqual(t, answered.Load()-before, int64(2), "only what failed, and Check, is asked again")
	require.Equal(t, first, readString(t, dir+"/made.jsonl"))
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.GreaterOrEqual(t, r.Answers.Reused, 94)

	few := append(args[:len(args):len(args)], "-llm-passages", "10", "-generator", "both", "-out", dir+"/both.jsonl")
	require.NoError(t, json.Unmarshal([]byte(succeed(t, few...)), &r))
	require.Less(t, r.Types["question"]+r.Types["claim"], 50)
	require.Positive(t, r.Types["sentence"])
}

func TestGenerateEndsWhereTheModelFailsOnMostPassages(t *testing.T) {
	dir := runFolder(t)
	url, _ := chatServer(t, func(request string) (int, string) {
		if strings.Contains(request, "caller names") {
			return http.StatusForbidden, ""
		}
		return http.StatusOK, ""
	})
	code, stdout, stderr := cli(t.Context(), "generate", "-corpus", dir+"/corpus.jsonl", "-generator", "llm", "-llm-url",
		url, "-llm-model", "tiny", "-out", dir+"/made.jsonl")
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "passages have failed)")
	require.Empty(t, stdout)
	require.NotContains(t, names(t, dir), "made.jsonl")

	// In distill too, where other passages are not asked about, and all have extractive queries.
	_, _, err := distillFake(
		t,
		t.Context(),
		fakeArgs(t, dir, "-generator", "both", "-llm-url", url, "-llm-model", "tiny", "-llm-passages", "24")...)
	require.ErrorContains(t, err, "passages have failed)")
	require.Equal(t, exitFailure, exitCode(t.Context(), err))
}

func TestBadInputToGenerateScoreAndTrainTeacherIsNamed(t *testing.T) {
	const generate, score = "generate -corpus DIR/corpus.jsonl -out DIR/out.jsonl ", "score -corpus DIR/corpus.jsonl -out DIR/out.jsonl "
	const train = "train-teacher -corpus DIR/corpus.jsonl -out DIR/out.jsonl "
	list := func(ids string) map[string]string {
		return map[string]string{"lists.jsonl": `{"query":{"_id":"q1","text":"line"},"ids":[` + ids + `]}` + "\n"}
	}
	scored := func(scores string) map[string]string {
		return map[string]string{
			"lists.jsonl": `{"query":{"_id":"q1","text":"line"},"ids":["scan","cut"],"scores":[` + scores + `]}` + "\n",
		}
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		args  string
		code  int
		want  string
	}{
		{"no corpus", nil, "generate -out DIR/x", exitUsage, "-corpus is missing"},
		{"no out", nil, "generate -corpus DIR/corpus.jsonl", exitUsage, "-out is missing"},
		{"unknown generator", nil, generate + "-generator magic", exitUsage, `-generator is "magic"`},
		{"no model", nil, generate + "-generator llm", exitUsage, "needs either -llm PATH or -llm-url URL"},
		{"two models", nil, generate + "-generator llm -llm x -llm-url http://x -llm-model y", exitUsage, "needs either -llm PATH or -llm-url URL"},
		{"a model for nothing", nil, generate + "-llm x", exitUsage, "-llm and -llm-url need -generator llm or both"},
		{"no model's name", nil, generate + "-generator llm -llm-url http://x", exitUsage, "-llm-url needs -llm-model"},
		{"no address", nil, generate + "-generator llm -llm-url nonsense -llm-model x", exitUsage, "-llm-url"},
		{"unknown types", nil, generate + "-types haiku", exitUsage, `no type "haiku"`},
		{"unknown types of a model", nil, generate + "-llm-types haiku", exitUsage, `no query type "haiku"`},
		{"no such model", nil, generate + "-generator llm -llm DIR/none.gguf", exitFailure, "DIR/none.gguf"},
		{"no passages", map[string]string{"corpus.jsonl": ""}, generate, exitFailure, "DIR/corpus.jsonl: no records"},
		{"nothing to ask", map[string]string{"corpus.jsonl": `{"_id":"a","text":"x"}`}, generate, exitFailure, "DIR/corpus.jsonl: no queries were generated"},

		{"neither lists nor queries", nil, score + "-teacher bm25", exitUsage, "either -lists or -queries"},
		{"both", nil, score + "-teacher bm25 -lists x -queries y", exitUsage, "either -lists or -queries"},
		{"no student", nil, score + "-queries DIR/queries.jsonl", exitUsage, "give -model, or another -teacher"},
		{"unknown teacher", nil, score + "-queries x -teacher oracle", exitUsage, `"oracle": want bm25`},
		{"unknown fusion", nil, score + "-queries x -teacher bm25 -fuse max", exitUsage, `-fuse is "max"`},
		{"agreement of one", nil, score + "-queries x -teacher bm25 -min-agreement .5", exitUsage, "two members or more"},
		{"agreement beyond", nil, score + "-queries x -teacher bm25+encoder:x -min-agreement 5", exitUsage, "-min-agreement is 5"},
		{"unknown scale", nil, score + "-queries x -teacher bm25 -scale log", exitUsage, `-scale is "log"`},
		{"no such lists", nil, score + "-teacher bm25 -lists DIR/none", exitFailure, "DIR/none"},
		{"no such cross-encoder", nil, score + "-teacher crossencoder:DIR/none -queries DIR/queries.jsonl", exitFailure, "teacher crossencoder none: "},
		{"unknown passage", list(`"scan","gone"`), score + "-teacher bm25 -lists DIR/lists.jsonl", exitFailure, `list of query "q1" has passage "gone", which is not in the corpus`},
		{"empty list", list(""), score + "-teacher bm25 -lists DIR/lists.jsonl", exitFailure, `list of query "q1" has no passages`},

		{"nothing to start from", nil, train + "-lists x", exitUsage, "-start is missing"},
		{"unknown lesson", nil, train + "-lists x -start y -learn all", exitUsage, `-learn is "all"`},
		{"all held out", nil, train + "-lists x -start y -dev-fraction 1", exitUsage, "-dev-fraction is 1"},
		{"a cold lesson", nil, train + "-lists x -start y -temperature -1", exitUsage, "-temperature is -1"},
		{"small groups", nil, train + "-lists x -start y -group 1", exitUsage, "GroupSize"},
		{"nothing known", list(`"scan","cut"`), train + "-lists DIR/lists.jsonl -start y", exitFailure, "none of the 1 lists is usable for training: no passage is known to answer the query 1"},
		{"nothing scored", list(`"scan","cut"`), train + "-lists DIR/lists.jsonl -start y -learn scores", exitFailure, "usable for training: no scores 1"},
		{"a teacher that says nothing", scored("1,1"), train + "-lists DIR/lists.jsonl -start y", exitFailure, "usable for training: all scores are equal 1"},
		{"an unknown passage to train on", list(`"scan","gone"`), train + "-lists DIR/lists.jsonl -start y", exitFailure, `has passage "gone", which is not in the corpus`},
		{
			"only positives", list(`"scan"`),
			train + "-lists DIR/lists.jsonl -start y -qrels DIR/qrels/test.tsv", exitFailure, "usable for training: every passage answers the query 1",
		},
		{
			"no such start", list(`"scan","cut"`),
			train + "-lists DIR/lists.jsonl -start DIR/none -qrels DIR/qrels/test.tsv -dev-fraction 0", exitFailure, "DIR/none",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := collection(t, c.files)
			code, stdout, stderr := cli(t.Context(), strings.Fields(strings.ReplaceAll(c.args, "DIR", dir))...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, strings.ReplaceAll(c.want, "DIR", dir))
			require.Empty(t, stdout)
			_, err := os.Stat(filepath.Join(dir, "out.jsonl"))
			require.ErrorIs(t, err, os.ErrNotExist)
		})
	}
}
