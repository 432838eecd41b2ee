package rerankapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/faultproxy"
	"github.com/retort-ir/retort/internal/goroutines"
	"github.com/retort-ir/retort/internal/llamacpptest"
	"github.com/retort-ir/retort/teacher"
)

func TestEachKindIsAskedInItsOwnWords(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		url        string
		o          Options
		path, body string
	}{
		{kindTEI, "", Options{}, "/rerank", `{"query":"close a file","texts":["aaa","b"],"raw_scores":false,"truncate":true}`},
		{kindTEI, "/rerank", Options{RawScores: true}, "/rerank", `{"query":"close a file","texts":["aaa","b"],"raw_scores":true,"truncate":true}`},
		{kindCohere, "", Options{}, "/v2/rerank", `{"model":"org/reranker","query":"close a file","documents":["aaa","b"]}`},
		{kindCohere, "/v2/", Options{Extra: map[string]any{"max_tokens_per_doc": 512}}, "/v2/rerank", `{"model":"org/reranker","query":"close a file","documents":["aaa","b"],"max_tokens_per_doc":512}`},
		{kindJina, "/v1", Options{}, "/v1/rerank", `{"model":"org/reranker","query":"close a file","documents":["aaa","b"],"return_documents":false}`},
		{kindVLLM, "", Options{}, "/v1/rerank", `{"model":"org/reranker","query":"close a file","documents":["aaa","b"]}`},
		{kindVLLMScore, "", Options{}, "/score", `{"model":"org/reranker","text_1":"close a file","text_2":["aaa","b"]}`},
	} {
		t.Run(string(c.kind)+c.url, func(t *testing.T) {
			p := faultproxy.New(t, server)
			c.o.Kind, c.o.URL = c.kind, p.URL+c.url
			client := newClient(t, c.o)
			got, err := client.Score(t.Context(), query, passages("aaa", "b"))
			require.NoError(t, err)
			require.Equal(t, []float64{3.5, 1.5}, got)
			require.Equal(t, c.path, p.Requests()[0].Path)
			require.JSONEq(t, c.body, string(p.Requests()[0].Body))
		})
	}
}

func TestALongListIsSentInPartsAndScoredAlike(t *testing.T) {
	var texts []string
	var want []float64
	for i := range 25 {
		texts = append(texts, strings.Repeat("x", (i*7)%25+1))
		want = append(want, float64((i*7)%25)+1.5)
	}
	for _, most := range []int{1, 7, 25, 0} {
		p := faultproxy.New(t, server, faultproxy.Reset(), faultproxy.Status(429, "Retry-After", "0.01"))
		c := newClient(t, Options{URL: p.URL, MaxDocuments: most, Concurrency: 3})
		got, err := c.Score(t.Context(), query, passages(texts...))
		require.NoError(t, err)
		require.Equal(t, want, got)
		parts := 1
		if most > 0 {
			parts = (25 + most - 1) / most
		}
		require.EqualValues(t, parts, c.Requests()-c.Retries())
		require.EqualValues(t, 2, c.Retries())
	}
}

func TestAPassageWithoutTextIsMissingAndNotSent(t *testing.T) {
	p := faultproxy.New(t, server)
	c := newClient(t, Options{URL: p.URL, MaxDocuments: 2})
	got, err := c.Score(t.Context(), query, passages("", "aaa", " \n", "b", "cc"))
	require.NoError(t, err)
	require.True(t, math.IsNaN(got[0]) && math.IsNaN(got[2]))
	require.Equal(t, []float64{3.5, 1.5, 2.5}, []float64{got[1], got[3], got[4]})
	require.Len(t, p.Requests(), 2)

	got, err = c.Score(t.Context(), query, passages(""))
	require.NoError(t, err)
	require.True(t, math.IsNaN(got[0]))
	got, err = c.Score(t.Context(), query, nil)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = c.Score(t.Context(), retort.Query{ID: "q9", Text: " "}, passages("a"))
	require.ErrorContains(t, err, `query "q9" has no text`)
	require.Len(t, p.Requests(), 2)
}

func TestAWrongScoreNeverGetsThrough(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"too few", `[{"index":0,"score":1}]`, "the server gave 1 scores for 2 documents"},
		{"too many", `[{"index":0,"score":1},{"index":1,"score":1},{"index":2,"score":1}]`, "the server gave 3 scores for 2 documents"},
		{"none", `[]`, "the server gave 0 scores for 2 documents"},
		{"an index twice", `[{"index":1,"score":1},{"index":1,"score":2}]`, "the server gave two scores for document 1 of 2"},
		{"an index out of range", `[{"index":1,"score":1},{"index":2,"score":2}]`, "result 1 of the server has the index 2 of 2 documents"},
		{"a negative index", `[{"index":-1,"score":1},{"index":0,"score":2}]`, "has the index -1"},
		{"no index", `[{"score":1},{"score":2}]`, "result 0 of the server has no index"},
		{"a broken index", `[{"index":0.5,"score":1},{"index":1,"score":2}]`, "the answer is not the answer of a server of the kind"},
		{"no score", `[{"index":0,"score":1},{"index":1}]`, "result 1 of the server has no score"},
		{"null", `[{"index":0,"score":1},{"index":1,"score":null}]`, "result 1 of the server has no score"},
		{"null for a result", `[{"index":0,"score":1},null]`, "result 1 of the server has no index"},
		{"NaN as text", `[{"index":0,"score":1},{"index":1,"score":"NaN"}]`, "the answer is not the answer of a server of the kind"},
		{"infinite", `[{"index":0,"score":1},{"index":1,"score":1e999}]`, "the answer is not the answer of a server of the kind"},
		{"names of another case", `[{"index":0,"score":1},{"INDEX":1,"Score":2}]`, "result 1 of the server has no index"},
		{"a score of another case", `[{"index":0,"score":1},{"index":1,"Score":2}]`, "result 1 of the server has no score"},
		{"another kind's", `{"results":[{"index":0,"relevance_score":1},{"index":1,"relevance_score":2}]}`, "the answer is not the answer of a server of the kind"},
		{"another kind's name of the score", `[{"index":0,"relevance_score":1},{"index":1,"relevance_score":1}]`, "has no score"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.Always(t, server, faultproxy.Answer(200, "application/json", c.body))
			client := newClient(t, Options{URL: p.URL, Attempts: 2})
			got, err := client.Score(t.Context(), query, passages("aaa", "b"))
			require.ErrorContains(t, err, `rerankapi: query "q7": `+p.URL+"/rerank: ")
			require.ErrorContains(t, err, c.want)
			require.Nil(t, got)
			require.Len(t, p.Requests(), 1)
		})
	}
	t.Run("a score twice", func(t *testing.T) {
		p := faultproxy.Always(t, server, faultproxy.Answer(200, "application/json",
			`[{"index":0,"score":1},{"index":1,"score":9,"score":2}]`))
		_, err := newClient(t, Options{URL: p.URL, Attempts: 2}).Score(t.Context(), query, passages("aaa", "b"))
		require.ErrorContains(t, err, `"/1": the name "score" occurs twice in one object`)
		require.Len(t, p.Requests(), 1, "it is not asked again")
	})
	t.Run("NaN", func(t *testing.T) { // no JSON
		p := faultproxy.New(t, server, faultproxy.Answer(200, "application/json", `[{"index":0,"score":NaN},{"index":1,"score":2}]`))
		_, err := newClient(t, Options{URL: p.URL, Attempts: 1}).Score(t.Context(), query, passages("aaa", "b"))
		require.ErrorContains(t, err, `query "q7"`)
		require.ErrorContains(t, err, "the answer is not JSON")
	})
	for _, kind := range []Kind{kindCohere, kindJina, kindVLLM, kindVLLMScore} {
		for _, body := range []string{`{}`, `[]`, `{"results":null,"data":null}`, `{"results":[],"data":[]}`, `{"message":"no"}`, `{"results":[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}],"data":[{"index":0,"score":1},{"index":0,"score":1}]}`} {
			p := faultproxy.Always(t, server, faultproxy.Answer(200, "application/json", body))
			_, err := newClient(t, Options{URL: p.URL, Kind: kind}).Score(t.Context(), query, passages("aaa", "b"))
			require.ErrorContains(t, err, `query "q7"`)
		}
	}
}

func FuzzScoresAreOneFiniteNumberADocument(f *testing.F) {
	f.Add(`[{"index":1,"score":1},{"index":0,"score":2}]`, 2)
	f.Add(`{"results":[{"index":0,"relevance_score":-1.5}]}`, 1)
	f.Add(`{"data":[{"index":0,"score":1e308}]}`, 1)
	f.Add(`null`, 0)
	f.Fuzz(func(t *testing.T, answer string, n int) {
		if n < 0 || n > 100 {
			return
		}
		for kind := range protocols {
			scores, err := kind.scores([]byte(answer), n)
			if err != nil {
				continue
			}
			require.Len(t, scores, n)
			for _, s := range scores {
				require.False(t, math.IsNaN(s) || math.IsInf(s, 0))
			}
		}
	})
}

func TestFaultsOnTheWayAreRetried(t *testing.T) {
	p := faultproxy.New(
		t, server, faultproxy.Reset(), faultproxy.CutBody(), faultproxy.Status(500),
		faultproxy.Answer(200, "text/html", "<p>starting</p>"),
	)
	c := newClient(t, Options{URL: p.URL})
	got, err := c.Score(t.Context(), query, passages("aaa", "b"))
	require.NoError(t, err)
	require.Equal(t, []float64{3.5, 1.5}, got)
	require.Equal(t, []int64{5, 4}, []int64{c.Requests(), c.Retries()})

	p = faultproxy.New(t, server, faultproxy.Hang(), faultproxy.HangMidBody())
	got, err = newClient(t, Options{URL: p.URL, Timeout: 500 * time.Millisecond}).Score(t.Context(), query, passages("aaa", "b"))
	require.NoError(t, err)
	require.Equal(t, []float64{3.5, 1.5}, got)

	p = faultproxy.Always(t, server, faultproxy.Status(422))
	_, err = newClient(t, Options{URL: p.URL}).Score(t.Context(), query, passages("a"))
	require.EqualError(t, err, `rerankapi: query "q7": POST `+p.URL+"/rerank: HTTP 422 Unprocessable Entity: fault 422")
}

func TestABatchScoresEachListOnceAndFailsAlone(t *testing.T) {
	p := faultproxy.New(t, server, faultproxy.Status(400))
	c := newClient(t, Options{URL: p.URL, Concurrency: 3})
	lists := make([]teacher.Work, c.BatchSize())
	for i := range lists {
		lists[i] = teacher.Work{Query: query, Passages: passages("x", strings.Repeat("y", i+1))}
	}
	failed, seen := 0, map[int]bool{}
	for i, got := range c.ScoreBatch(t.Context(), lists) {
		require.False(t, seen[i])
		seen[i] = true
		if got.Err != nil {
			require.ErrorContains(t, got.Err, `query "q7"`)
			failed++
			continue
		}
		require.Equal(t, []float64{1.5, float64(i) + 1.5}, got.Scores)
	}
	require.Len(t, seen, 12)
	require.Equal(t, 1, failed)
}

func TestScoringEndsWithItsContextAndLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("work", func(t *testing.T) {
		p := faultproxy.Always(t, server, faultproxy.Hang())
		c := newClient(t, Options{URL: p.URL, MaxDocuments: 1})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		start := time.Now()
		_, err := c.Score(ctx, query, passages("a", "b", "c"))
		require.Equal(t, context.Canceled, err)
		for range c.ScoreBatch(ctx, []teacher.Work{{Query: query, Passages: passages("a")}}) {
			t.Error("scored after the context's end")
		}
		require.Less(t, time.Since(start), time.Second)
	})
	goroutines.RequireNoMore(t, before, 5*time.Second)
}

func TestCachedScoresAreAskedForOnce(t *testing.T) {
	p := faultproxy.New(t, server)
	store, err := teacher.OpenStore(t.Context(), filepath.Join(t.TempDir(), "scores.jsonl"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { store.Close() })
	for range 2 {
		cached, err := teacher.Cached(newClient(t, Options{URL: p.URL}), store)
		require.NoError(t, err)
		got, err := cached.Score(t.Context(), query, passages("aaa", "b"))
		require.NoError(t, err)
		require.Equal(t, []float64{3.5, 1.5}, got)
	}
	require.Len(t, p.Requests(), 1)
}

func TestFingerprintsTellServersModelsAndSettingsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range []Options{
		{URL: "http://a"},
		{URL: "http://b"},
		{URL: "http://a", Model: "n"},
		{URL: "http://a", Kind: kindJina},
		{URL: "http://a", RawScores: true},
		{URL: "http://a", Extra: map[string]any{"x": 1}},
	} {
		seen[newClient(t, o).Fingerprint()] = true
	}
	require.Len(t, seen, 6)
	require.Equal(t, newClient(t, Options{URL: "http://a"}).Fingerprint(), newClient(t, Options{URL: "http://a/rerank", Concurrency: 3, MaxDocuments: 5}).Fingerprint())
}

func TestCheckSaysWhatIsWrongWithOneRequest(t *testing.T) {
	t.Setenv("RETORT_RERANKAPI_TEST_KEY", "sk-sentinel")
	for _, c := range []struct {
		name  string
		fault faultproxy.Fault
		o     Options
		want  string
	}{
		{"fine", nil, Options{}, ""},
		{"wrong path or model", faultproxy.Status(404), Options{Kind: kindVLLM}, `of the kind "vllm", and does it have the model "org/reranker"?`},
		{"a web page", faultproxy.Answer(200, "text/html", "<p>"), Options{}, `does a server of the kind "tei" run at`},
		{"no key", faultproxy.Status(401), Options{}, "the server wants a key"},
		{"wrong key", faultproxy.Status(401), Options{KeyVariable: "RETORT_RERANKAPI_TEST_KEY"}, "the server refuses the key in RETORT_RERANKAPI_TEST_KEY"},
		{"busy", faultproxy.Status(503), Options{}, "HTTP 503"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.Always(t, server, c.fault)
			c.o.URL = p.URL
			err := newClient(t, c.o).Check(t.Context())
			require.Len(t, p.Requests(), 1)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
	require.ErrorContains(t, newClient(t, Options{URL: "http://127.0.0.1:1"}).Check(t.Context()), "run at http://127.0.0.1:1/rerank")
}

func TestTheKeyGoesToTheServerAndNowhereElse(t *testing.T) {
	const sentinel = "sk-sentinel-77aa"
	t.Setenv("RETORT_RERANKAPI_TEST_KEY", sentinel)
	tells := func(status int) faultproxy.Fault {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":"%s"}`, r.Header.Get("Authorization"))
		}
	}
	path := filepath.Join(t.TempDir(), "scores.jsonl")
	store, err := teacher.OpenStore(t.Context(), path, nil)
	require.NoError(t, err)
	var log bytes.Buffer
	var seen []string
	for _, fault := range []faultproxy.Fault{nil, tells(500), tells(401), tells(200), faultproxy.Reset()} {
		p := faultproxy.Always(t, server, fault)
		c := newClient(t, Options{
			URL: p.URL, KeyVariable: "RETORT_RERANKAPI_TEST_KEY", Attempts: 2,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		cached, err := teacher.Cached(c, store)
		require.NoError(t, err)
		_, err = cached.Score(t.Context(), query, passages("a"))
		seen = append(seen, fmt.Sprintf("%v %+v %#v %v", err, err, err, errors.Unwrap(err)), fmt.Sprint(c.Check(t.Context())))
		seen = append(seen, fmt.Sprintf("%+v %#v", *c, *c), c.Fingerprint())
		require.Equal(t, "Bearer "+sentinel, p.Requests()[0].Header.Get("Authorization"))
	}
	require.NoError(t, store.Close())
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEmpty(t, log.String())
	for _, text := range append(seen, log.String(), string(file)) {
		require.NotContains(t, text, sentinel)
	}
}

func TestNewNamesTheWrongOption(t *testing.T) {
	t.Setenv("RETORT_RERANKAPI_TEST_KEY", "")
	good := func() Options { return Options{Kind: kindTEI, URL: "http://a", Model: "m"} }
	for want, change := range map[string]func(*Options){
		`Options.Kind is "", want "tei", "cohere", "jina", "vllm" or "vllm-score"`: func(o *Options) { o.Kind = "" },
		"Options.URL: the server's URL is empty":                                   func(o *Options) { o.URL = "" },
		"Options.Model is empty":                                                   func(o *Options) { o.Model = "" },
		`Options.RawScores is for the kind "tei"`:                                  func(o *Options) { o.Kind, o.RawScores = kindJina, true },
		"Options.MaxDocuments is -1":                                               func(o *Options) { o.MaxDocuments = -1 },
		"Options.Extra":                                                            func(o *Options) { o.Extra = map[string]any{"f": func() {}} },
		"Options.Timeout is -1s":                                                   func(o *Options) { o.Timeout = -time.Second },
		"RETORT_RERANKAPI_TEST_KEY is not set":                                     func(o *Options) { o.KeyVariable = "RETORT_RERANKAPI_TEST_KEY" },
	} {
		o := good()
		change(&o)
		_, err := New(o)
		require.ErrorContains(t, err, want)
		require.True(t, strings.HasPrefix(err.Error(), "rerankapi: "), err)
	}
}

// The protocol of Jina, from llama.cpp's own server.
func TestLlamaCppReranks(t *testing.T) {
	url := llamacpptest.Start(t, llamacpptest.Rerank, "")
	p := faultproxy.New(t, faultproxy.To(t, url), faultproxy.CutBody(), faultproxy.Status(429, "Retry-After", "0.05"))
	c := newClient(t, Options{URL: p.URL, Kind: kindJina, Model: llamacpptest.Model})
	texts := passages("closes a file", "the weather in May", "opens the named file for reading")
	got, err := c.Score(t.Context(), query, texts)
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.NotEqual(t, got[0], got[1])
	require.EqualValues(t, 2, c.Retries())
	// The scores of a model that is no reranker differ from call to call, so that only their number is looked at.
	alone := newClient(t, Options{URL: url, Kind: kindVLLM, Model: llamacpptest.Model, MaxDocuments: 2})
	lists := []teacher.Work{{Query: query, Passages: texts}, {Query: query, Passages: texts[:1]}}
	for i, result := range alone.ScoreBatch(t.Context(), lists) {
		require.NoError(t, result.Err)
		require.Len(t, result.Scores, len(lists[i].Passages))
	}
	require.EqualValues(t, 3, alone.Requests())
	require.NoError(t, alone.Check(t.Context()))
}

func TestLlamaCppWithoutARerankerSaysSo(t *testing.T) {
	url := llamacpptest.Start(t, llamacpptest.Complete, "sesame")
	t.Setenv("RETORT_RERANKAPI_TEST_KEY", "sesame")
	c := newClient(t, Options{URL: url, Kind: kindJina, KeyVariable: "RETORT_RERANKAPI_TEST_KEY"})
	_, err := c.Score(t.Context(), query, passages("a"))
	require.ErrorContains(t, err, `rerankapi: query "q7": POST `+url+"/v1/rerank: HTTP 501 Not Implemented: This server does not support reranking.")
	require.EqualValues(t, 0, c.Retries())
	require.ErrorContains(t, newClient(t, Options{URL: url, Kind: kindJina}).Check(t.Context()), "the server wants a key")
	require.ErrorContains(t, newClient(t, Options{URL: url, Kind: kindVLLMScore, KeyVariable: "RETORT_RERANKAPI_TEST_KEY"}).Check(t.Context()), `of the kind "vllm-score"`)
}
