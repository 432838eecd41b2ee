package openai

import (
	"cmp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/faultproxy"
	"github.com/retort-ir/retort/internal/llamacpptest"
)

func TestLlamaCppWritesQueriesThroughABadConnection(t *testing.T) {
	t.Setenv("RETORT_OPENAI_TEST_KEY", "sesame")
	url := llamacpptest.Start(t, llamacpptest.Complete, "sesame")
	p := faultproxy.New(
		t, faultproxy.To(t, url), faultproxy.Status(500), faultproxy.CutBody(), nil, faultproxy.Reset(), nil,
		faultproxy.Status(429, "Retry-After", "0.05"), faultproxy.Answer(200, "application/json", `{"choices":`), nil, faultproxy.HangMidBody(),
	)
	for _, api := range []API{Completions, Chat} {
		t.Run(string(api), func(t *testing.T) {
			c := newClient(t, Options{
				URL: p.URL + "/v1", Model: llamacpptest.Model, API: api, KeyVariable: "RETORT_OPENAI_TEST_KEY", Concurrency: 2,
				Timeout: 30 * time.Second,
				// What llama.cpp reads from its cache differs from what it computes in the last bits, and so do close calls.
				Extra: map[string]any{"cache_prompt": false},
			})
			r := generate.Request{
				Prompt: generate.Prompt{
					Prefix: "Passage: Tea is a drink made of leaves.\nQuery: what is tea made of\n\nPassage:",
					Own:    " The Rhine flows through Cologne.\nQuery:",
					Messages: []generate.Message{
						{Role: generate.RoleUser, Content: "Write a search query. Passage: Tea is a drink made of leaves."},
						{Role: generate.RoleAssistant, Content: "what is tea made of"},
						{Role: generate.RoleUser, Content: "Passage: The Rhine flows through Cologne."},
					},
				},
				MaxTokens: 12, Stop: []string{"\n"},
			}
			greedy, err := c.Complete(t.Context(), r)
			require.NoError(t, err)
			require.NotEmpty(t, strings.TrimSpace(greedy.Text))
			if api == Completions {
				require.NotContains(t, greedy.Text, "\n")
			}
			require.Positive(t, greedy.PromptTokens)
			require.Positive(t, greedy.Tokens)
			again, err := c.Complete(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, greedy.Text, again.Text)

			r.MaxTokens, r.Stop = 1, nil
			short, err := c.Complete(t.Context(), r)
			require.NoError(t, err)
			require.True(t, short.Truncated)
			require.Equal(t, 1, short.Tokens)

			requests := make([]generate.Request, 4)
			for i := range requests {
				requests[i] = r
				requests[i].MaxTokens, requests[i].Temperature, requests[i].Seed = 8, .8, uint64(i/2)
			}
			texts := make([]string, len(requests))
			for i, o := range c.CompleteBatch(t.Context(), requests) {
				require.NoError(t, o.Err)
				texts[i] = o.Text
			}
			require.NotEqual(t, texts[0], texts[2], "another seed")
			require.EqualValues(t, 7, c.Usage().Completions)
			require.Zero(t, c.Usage().Failed)
			t.Logf("%q %q %+v", greedy.Text, texts, c.Usage())
		})
	}
}

func TestLlamaCppAndPromptedMakeQueries(t *testing.T) {
	url := llamacpptest.Start(t, llamacpptest.Complete, "")
	c := newClient(t, Options{URL: url + "/v1", Model: llamacpptest.Model, API: Completions, Concurrency: 2})
	require.NoError(t, c.Check(t.Context()))
	var mu sync.Mutex
	var answers []generate.Answer
	g, err := generate.NewPrompted(c, generate.PromptOptions{
		PerPassage: 2, MaxTokens: 20,
		Observe: func(a generate.Answer) {
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, a)
		},
	})
	require.NoError(t, err)
	queries, err := g.Generate(t.Context(), retort.Passage{
		ID: "1", Text: "The Rhine flows through Cologne and reaches the North Sea in the Netherlands. Ships carry coal and grain on it.",
	})
	require.NoError(t, err)
	require.Len(t, answers, 2)
	for _, a := range answers {
		require.NotEmpty(t, strings.TrimSpace(a.Text), "what the model wrote, used or not")
		require.Positive(t, a.PromptTokens)
		require.Equal(t, "llm/smollm2", a.Query.Origin)
		t.Logf("%q: %s", a.Text, cmp.Or(a.Dropped, "kept"))
	}
	require.LessOrEqual(t, len(queries), 2)
	require.EqualValues(t, 2, c.Usage().Completions, "the check is no completion")
}

func TestLlamaCppIsCheckedFirst(t *testing.T) {
	t.Setenv("RETORT_OPENAI_TEST_KEY", "sesam")
	t.Setenv(defaultKeyVariable, "")
	url := llamacpptest.Start(t, llamacpptest.Complete, "sesame")
	for want, o := range map[string]Options{
		"the server refuses the key in RETORT_OPENAI_TEST_KEY": {URL: url + "/v1", KeyVariable: "RETORT_OPENAI_TEST_KEY"},
		"the server wants a key: set the environment variable": {URL: url + "/v1"},
		"does a server run at http://127.0.0.1:1/v1":           {URL: "http://127.0.0.1:1/v1"},
		url + "/v2/chat/completions":                           {URL: url + "/v2", KeyVariable: "RETORT_OPENAI_TEST_KEY"},
	} {
		err := newClient(t, o).Check(t.Context())
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "sesam ")
	}
}
