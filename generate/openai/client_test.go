package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/faultproxy"
	"github.com/retort-ir/retort/internal/goroutines"
	"github.com/retort-ir/retort/internal/httpretry"
)

func TestChatSendsTheMessages(t *testing.T) {
	p := faultproxy.New(t, server)
	c := newClient(t, Options{URL: p.URL + "/v1/", Extra: map[string]any{"top_p": .9, "temperature": nil}})
	got, err := c.Complete(t.Context(), request("hello"))
	require.NoError(t, err)
	require.Equal(t, generate.Completion{Text: "chat: hello", PromptTokens: 11, Tokens: 3}, got)
	require.JSONEq(t, `{
		"model": "org/m-7b", "max_tokens": 50, "top_p": 0.9, "seed": 536870912,
		"messages": [
			{"role": "user", "content": "an example"},
			{"role": "assistant", "content": "its query"},
			{"role": "user", "content": "hello"}
		]
	}`, string(p.Requests()[0].Body), "no stop strings, and no temperature, which Extra takes out")
	require.Equal(t, "/v1/chat/completions", p.Requests()[0].Path)
}

func TestCompletionsSendTheRawForm(t *testing.T) {
	p := faultproxy.New(t, server)
	c := newClient(t, Options{URL: p.URL + "/v1", API: Completions})
	r := request("hello <b>")
	r.Stop = []string{"\n", "a", "b", "c", "<"}
	got, err := c.Complete(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "r", got.Text, "cut at the first of all stop strings")
	require.JSONEq(t, `{
		"model": "org/m-7b", "max_tokens": 50, "temperature": 0.8, "seed": 536870912, "stop": ["\n", "a", "b", "c"],
		"prompt": "Passage: hello <b>\nQuery:"
	}`, string(p.Requests()[0].Body), "OpenAI takes four stop strings")
}

func TestTheSeedFitsEveryServer(t *testing.T) {
	seen := map[int64]bool{}
	for _, seed := range []uint64{0, 1, 1 << 31, 1<<31 | 1, 1 << 40, 1 << 62, 1 << 63, math.MaxUint64, math.MaxUint32} {
		folded := foldSeed(seed)
		require.GreaterOrEqual(t, folded, int64(0))
		require.Less(t, folded, int64(math.MaxInt32)+1)
		seen[folded] = true
	}
	require.Len(t, seen, 6)
}

func TestTemperatureZeroIsSent(t *testing.T) {
	p := faultproxy.New(t, server)
	r := request("x")
	r.Temperature, r.Seed = 0, 0
	_, err := newClient(t, Options{URL: p.URL + "/v1"}).Complete(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, string(p.Requests()[0].Body), `"temperature":0`)
	require.Contains(t, string(p.Requests()[0].Body), `"seed":0`)
}

func chat(choice string) string {
	return `{"choices":[` + choice + `],"usage":{"prompt_tokens":5,"completion_tokens":2}}`
}

func TestWhatTheModelDoesNotAnswerIsAnErrorOfThatRequest(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"empty choices", `{"choices":[]}`, "the answer holds no choices"},
		{"no choices but an error", `{"error":{"message":"upstream is down","code":502}}`, "the answer holds no choices: upstream is down"},
		{"an array", `[]`, "the answer holds no choices"},
		{
			"choices of another case", `{"Choices":[{"finish_reason":"stop","message":{"content":"so"}}]}`,
			"the answer holds no choices",
		},
		{
			"content twice", chat(`{"finish_reason":"stop","message":{"content":"so","content":"or so"}}`),
			`"/choices/0/message": the name "content" occurs twice`,
		},
		{"refusal", chat(`{"finish_reason":"stop","message":{"content":null,"refusal":"I will not"}}`), "the model refuses: I will not"},
		{"content filter", chat(`{"finish_reason":"content_filter","message":{"content":"so"}}`), "a content filter stopped the answer"},
		{"tool calls", chat(`{"finish_reason":"tool_calls","message":{"content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}}`), "the model calls a tool instead of answering"},
		{"error of the provider", chat(`{"finish_reason":"error","error":{"message":"lost"},"message":{"content":"so"}}`), "the server failed while the model wrote: lost"},
		{"no text", chat(`{"finish_reason":"stop","message":{"content":{"type":"image"}}}`), "the answer's content is not text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.New(t, server, faultproxy.Answer(200, "application/json", c.body))
			client := newClient(t, Options{URL: p.URL + "/v1"})
			_, err := client.Complete(t.Context(), request("x"))
			require.ErrorContains(t, err, c.want)
			require.EqualValues(t, 1, client.Usage().Failed)
			_, err = client.Complete(t.Context(), request("x"))
			require.NoError(t, err)
			require.Equal(t, httpretry.Counts{Requests: 2}, client.http.Counts(), "asked once each")
		})
	}
}

func TestNamesOfAnotherCaseAreNotRead(t *testing.T) {
	body := chat(`{"finish_reason":"stop","message":{"content":"so","Content":"no","CONTENT":null,"Refusal":"no"},"Message":{"content":"no"}}`)
	p := faultproxy.New(t, server, faultproxy.Answer(200, "application/json", body))
	got, err := newClient(t, Options{URL: p.URL + "/v1"}).Complete(t.Context(), request("x"))
	require.NoError(t, err)
	require.Equal(t, "so", got.Text)
}

func TestLengthIsTruncation(t *testing.T) {
	for _, c := range []struct {
		name, body string
		api        API
		want       generate.Completion
	}{
		{"chat", chat(`{"finish_reason":"length","message":{"content":"so far"}}`), Chat, generate.Completion{Text: "so far", Truncated: true, PromptTokens: 5, Tokens: 2}},
		{"thoughts only", chat(`{"finish_reason":"length","message":{"content":null}}`), Chat, generate.Completion{Truncated: true, PromptTokens: 5, Tokens: 2}},
		{"raw", chat(`{"finish_reason":"length","text":"so far"}`), Completions, generate.Completion{Text: "so far", Truncated: true, PromptTokens: 5, Tokens: 2}},
		{"raw, behind a stop string that the server has ignored", chat(`{"finish_reason":"length","text":"so far\nand"}`), Completions, generate.Completion{Text: "so far", PromptTokens: 5, Tokens: 2}},
		{"no usage", `{"choices":[{"finish_reason":"stop","message":{"content":"x"}}]}`, Chat, generate.Completion{Text: "x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.Always(t, server, faultproxy.Answer(200, "text/plain", c.body))
			got, err := newClient(t, Options{URL: p.URL + "/v1", API: c.api}).Complete(t.Context(), request("x"))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestTotalsCountTokensAndMoney(t *testing.T) {
	costs := faultproxy.Answer(200, "application/json", `{"choices":[{"finish_reason":"stop","message":{"content":"x"}}],"usage":{"prompt_tokens":100,"completion_tokens":10,"cost":0.25}}`)
	p := faultproxy.New(t, server, faultproxy.Status(500), nil, costs, faultproxy.Answer(200, "application/json", chat(`{"finish_reason":"content_filter","message":{}}`)), faultproxy.Status(400))
	c := newClient(t, Options{URL: p.URL + "/v1", PromptPrice: 2_000_000, CompletionPrice: 1_000_000})
	var failed int
	for range 4 {
		if _, err := c.Complete(t.Context(), request("x")); err != nil {
			failed++
		}
	}
	require.Equal(t, 2, failed)
	require.Equal(t, generate.Usage{
		Requests: 5, Retries: 1, Completions: 2, Failed: 2, PromptTokens: 11 + 100 + 5, Tokens: 3 + 10 + 2,
		Cost: 22 + 3 + .25 + 10 + 2, // what the filter stopped is paid for too
	}, c.Usage())
}

func TestOddCostsAreNone(t *testing.T) {
	for _, cost := range []string{`-1`, `"free"`, `null`, `{}`, `1e999`} {
		body := fmt.Sprintf(`{"choices":[{"finish_reason":"stop","message":{"content":"x"}}],"usage":{"prompt_tokens":1000000,"completion_tokens":0,"cost":%s}}`, cost)
		p := faultproxy.Always(t, server, faultproxy.Answer(200, "application/json", body))
		c := newClient(t, Options{URL: p.URL + "/v1", PromptPrice: 3})
		_, err := c.Complete(t.Context(), request("x"))
		require.NoError(t, err)
		require.Equal(t, 3., c.Usage().Cost, cost)
	}
}

func TestFaultsOnTheWayAreRetried(t *testing.T) {
	p := faultproxy.New(
		t, server, faultproxy.Reset(), faultproxy.CutBody(), faultproxy.Status(500),
		faultproxy.Answer(200, "text/html", "<p>starting</p>"), faultproxy.Status(429, "Retry-After", "0.01"),
	)
	c := newClient(t, Options{URL: p.URL + "/v1"})
	got, err := c.Complete(t.Context(), request("x"))
	require.NoError(t, err)
	require.Equal(t, "chat: x", got.Text)
	require.EqualValues(t, 5, c.Usage().Retries)
}

func TestABatchAnswersEachRequestOnce(t *testing.T) {
	p := faultproxy.New(t, server, faultproxy.Reset(), faultproxy.Status(400), faultproxy.Status(503))
	c := newClient(t, Options{URL: p.URL + "/v1", Concurrency: 5})
	requests := make([]generate.Request, c.BatchSize())
	for i := range requests {
		requests[i] = request(fmt.Sprint(i))
	}
	require.Len(t, requests, 20)
	seen, failed := map[int]bool{}, 0
	for i, o := range c.CompleteBatch(t.Context(), requests) {
		require.False(t, seen[i])
		seen[i] = true
		if o.Err != nil {
			failed++
			continue
		}
		require.Equal(t, fmt.Sprint("chat: ", i), o.Text)
	}
	require.Len(t, seen, 20)
	require.Equal(t, 1, failed)
	for range c.CompleteBatch(t.Context(), nil) {
		t.Error("an outcome without a request")
	}
}

func TestABatchThatIsLeftOrCancelledLeavesNothingBehind(t *testing.T) {
	var inFlight atomic.Int64
	hangs := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		inFlight.Add(1)
		defer inFlight.Add(-1)
		<-r.Context().Done()
	}
	requests := make([]generate.Request, 50)
	for i := range requests {
		requests[i] = request(fmt.Sprint(i))
	}
	before := runtime.NumGoroutine()
	t.Run("work", func(t *testing.T) {
		p := faultproxy.New(t, server, nil, hangs, hangs, hangs, hangs)
		c := newClient(t, Options{URL: p.URL + "/v1", Concurrency: 4})
		for _, o := range c.CompleteBatch(t.Context(), requests) {
			require.NoError(t, o.Err)
			break
		}
		require.EqualValues(t, 1, c.Usage().Completions)
		require.Zero(t, c.Usage().Failed, "what was stopped has not failed")

		p = faultproxy.Always(t, server, hangs)
		c = newClient(t, Options{URL: p.URL + "/v1", Concurrency: 4})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		for i := range c.CompleteBatch(ctx, requests) {
			t.Errorf("request %d was answered", i)
		}
		_, err := c.Complete(ctx, request("x"))
		require.Equal(t, context.Canceled, err)
	})
	goroutines.RequireNoMore(t, before, 5*time.Second)
}

func TestCheckSaysWhatIsWrongWithOneRequest(t *testing.T) {
	t.Setenv(defaultKeyVariable, "")
	t.Setenv("RETORT_OPENAI_TEST_KEY", "sk-sentinel")
	noModel := faultproxy.Answer(404, "application/json", `{"error":{"message":"The model does not exist","code":"model_not_found"}}`)
	for _, c := range []struct {
		name   string
		faults []faultproxy.Fault
		o      Options
		want   []string
	}{
		{"fine", nil, Options{}, nil},
		{"wrong model", []faultproxy.Fault{noModel}, Options{Model: "gpt-9"}, []string{"HTTP 404", "The model does not exist", `the server has no model "gpt-9"; it has first, org/m-7b`}},
		{"wrong API", []faultproxy.Fault{faultproxy.Status(404)}, Options{API: Completions}, []string{`the server has the model "org/m-7b"; does it know the API "completions"?`}},
		{"wrong path", []faultproxy.Fault{faultproxy.Status(404), faultproxy.Status(404)}, Options{}, []string{"most addresses end with /v1"}},
		{"a web page", []faultproxy.Fault{faultproxy.Answer(200, "text/html", "<html>")}, Options{}, []string{"the answer is not JSON", "most addresses end with /v1"}},
		{"no key", []faultproxy.Fault{faultproxy.Status(401)}, Options{}, []string{"HTTP 401", "the server wants a key: set the environment variable OPENAI_API_KEY"}},
		{"wrong key", []faultproxy.Fault{faultproxy.Status(403)}, Options{KeyVariable: "RETORT_OPENAI_TEST_KEY"}, []string{"HTTP 403", "the server refuses the key in RETORT_OPENAI_TEST_KEY"}},
		{"busy", []faultproxy.Fault{faultproxy.Status(503)}, Options{}, []string{"HTTP 503"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.New(t, server, c.faults...)
			c.o.URL = p.URL + "/v1"
			err := newClient(t, c.o).Check(t.Context())
			if c.want == nil {
				require.NoError(t, err)
				require.Contains(t, string(p.Requests()[0].Body), `"max_tokens":1,`)
				return
			}
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "sk-sentinel")
			require.LessOrEqual(t, len(p.Requests()), 2)
		})
	}
	for text, body := range map[string]string{
		"the model refuses: I won't":   `{"choices":[{"message":{"content":null,"refusal":"I won't"},"finish_reason":"stop"}]}`,
		"a content filter":             `{"choices":[{"message":{"content":""},"finish_reason":"content_filter"}]}`,
		"the model calls a tool":       `{"choices":[{"message":{"content":null},"finish_reason":"tool_calls"}]}`,
		"the server failed":            `{"choices":[{"message":{"content":""},"finish_reason":"error","error":{"message":"no GPU"}}]}`,
		"no choices: model overloaded": `{"error":{"message":"model overloaded","code":503}}`,
	} {
		p := faultproxy.New(t, server, faultproxy.Answer(200, "application/json", body))
		err := newClient(t, Options{URL: p.URL + "/v1"}).Check(t.Context())
		require.ErrorContains(t, err, text)
		require.NotContains(t, err.Error(), "does a server run", "the server has answered")
	}
	err := newClient(t, Options{URL: "http://127.0.0.1:1/v1"}).Check(t.Context())
	require.ErrorContains(t, err, "does a server run at http://127.0.0.1:1/v1")
}

func TestTheKeyGoesToTheServerAndNowhereElse(t *testing.T) {
	const sentinel, other = "sk-sentinel-5d0e", "sk-other-91ab"
	t.Setenv("RETORT_OPENAI_TEST_KEY", sentinel)
	t.Setenv(defaultKeyVariable, other)
	t.Setenv("OPENAI_ORG_ID", other)
	t.Setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/")
	tells := func(status int) faultproxy.Fault {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			text, _ := json.Marshal(fmt.Sprint(r.Header))
			fmt.Fprintf(w, `{"error":{"message":%s},"choices":[{"finish_reason":"stop","message":{"content":%s}}]}`, text, text)
		}
	}
	var log bytes.Buffer
	dir := t.TempDir()
	store, err := generate.OpenAnswers(t.Context(), filepath.Join(dir, "answers.jsonl"), nil)
	require.NoError(t, err)
	var seen []string
	for _, fault := range []faultproxy.Fault{nil, tells(500), tells(401), tells(200), faultproxy.Reset()} {
		p := faultproxy.Always(t, server, fault)
		c := newClient(t, Options{
			URL: p.URL + "/v1", KeyVariable: "RETORT_OPENAI_TEST_KEY", Attempts: 2,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		recorded, err := generate.Recorded(c, store)
		require.NoError(t, err)
		completion, err := recorded.Complete(t.Context(), request("x"))
		seen = append(seen, fmt.Sprintf("%v %+v %#v %v", completion, err, err, errors.Unwrap(err)), fmt.Sprint(c.Check(t.Context())))
		seen = append(seen, fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", c.options), c.Fingerprint(), c.Model())
		for _, r := range p.Requests() {
			require.Equal(t, "Bearer "+sentinel, r.Header.Get("Authorization"))
			require.NotContains(t, fmt.Sprint(r.Header), other, "the environment of the official client is not read")
			require.NotContains(t, r.Path+string(r.Body), sentinel)
		}
	}
	require.NoError(t, store.Close())
	file, err := os.ReadFile(filepath.Join(dir, "answers.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, log.String())
	for _, text := range append(seen, log.String(), string(file)) {
		require.NotContains(t, text, sentinel)
		require.NotContains(t, text, other)
	}
}

func TestFingerprintsTellServersModelsAndSettingsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range []Options{
		{URL: "http://a/v1"},
		{URL: "http://b/v1"},
		{URL: "http://a/v1", Model: "n"},
		{URL: "http://a/v1", API: Completions},
		{URL: "http://a/v1", Extra: map[string]any{"top_p": .5}},
	} {
		seen[newClient(t, o).Fingerprint()] = true
	}
	require.Len(t, seen, 5)
	require.Equal(t, newClient(t, Options{URL: "http://a/v1"}).Fingerprint(), newClient(t, Options{URL: "http://a/v1/", API: Chat, Concurrency: 3}).Fingerprint())
	require.Equal(t, "m-7b", newClient(t, Options{URL: "http://a/v1", Model: "/models/m-7b/"}).Model())
}

func TestNewNamesTheWrongOption(t *testing.T) {
	t.Setenv("RETORT_OPENAI_TEST_KEY", "")
	for want, o := range map[string]Options{
		"Options.URL: the server's URL is empty":                 {Model: "m"},
		`Options.URL: the server's URL begins with "localhost:"`: {URL: "localhost:80", Model: "m"},
		"Options.Model is empty":                                 {URL: "http://a/v1"},
		`Options.API is "embed"`:                                 {URL: "http://a/v1", Model: "m", API: "embed"},
		"Options.PromptPrice is -1":                              {URL: "http://a/v1", Model: "m", PromptPrice: -1},
		"Options.CompletionPrice is NaN":                         {URL: "http://a/v1", Model: "m", CompletionPrice: math.NaN()},
		"Options.Extra":                                          {URL: "http://a/v1", Model: "m", Extra: map[string]any{"f": func() {}}},
		"Options.Concurrency is -1":                              {URL: "http://a/v1", Model: "m", Concurrency: -1},
		"RETORT_OPENAI_TEST_KEY is not set":                      {URL: "http://a/v1", Model: "m", KeyVariable: "RETORT_OPENAI_TEST_KEY"},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, want)
		require.True(t, strings.HasPrefix(err.Error(), "openai: "), err)
	}
}

func TestRequestsThatCannotBeAskedAreRefused(t *testing.T) {
	p := faultproxy.New(t, server)
	c := newClient(t, Options{URL: p.URL + "/v1"})
	for want, change := range map[string]func(*generate.Request){
		"MaxTokens of the request is 0":        func(r *generate.Request) { r.MaxTokens = 0 },
		"the prompt has no messages":           func(r *generate.Request) { r.Prompt.Messages = nil },
		`message 0 of the prompt has the role`: func(r *generate.Request) { r.Prompt.Messages[0].Role = "system" },
	} {
		r := request("x")
		change(&r)
		_, err := c.Complete(t.Context(), r)
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, p.Requests())
}
