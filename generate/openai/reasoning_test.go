package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/faultproxy"
)

var pump = retort.Passage{ID: "p", Text: "A pump is tested under load for ten minutes before anyone relies on it."}

// reasoningServer answers with a message as the servers of reasoning models do.
func reasoningServer(message, finish string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"choices":[{"index":0,"finish_reason":%q,"message":%s}],"usage":{"prompt_tokens":5,"completion_tokens":7}}`, finish, message)
	})
}

func content(text string) string {
	quoted, _ := json.Marshal(text)
	return fmt.Sprintf(`{"role":"assistant","content":%s}`, quoted)
}

func TestReasoningIsNoQuery(t *testing.T) {
	const want = "how long must the machinery be tried out?"
	for _, c := range []struct {
		name, message, finish string
		query                 string
		dropped               generate.Reason
	}{
		{"think", content("<think>\nThe user wants a query.\n</think>\n\n" + want), "stop", want, ""},
		{"think, cut", content("<think>\nOkay, the user wants a query, so I should"), "length", "", generate.Reason("reasoning without an answer")},
		{"no opener", content("The user wants a query.\n</think>\n\n" + want), "stop", want, ""},
		{
			"harmony", content("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>" + want),
			"stop", want, "",
		},
		{"set apart", `{"content":"` + want + `","reasoning_content":"The user wants a query."}`, "stop", want, ""},
		{
			"set apart, no answer", `{"content":null,"reasoning_content":"The user wants a query."}`, "stop", "",
			generate.Reason("reasoning without an answer"),
		},
		{"set apart, cut", `{"content":"","reasoning":"The user wants a query about"}`, "length", "", generate.Reason("reasoning without an answer")},
		{"nothing set apart", `{"content":null,"reasoning_content":null,"reasoning":""}`, "stop", "", generate.Reason("empty")},
		{"parts", `{"content":[{"type":"text","text":"` + want + `"}]}`, "stop", want, ""},
		{"parts with a thought", `{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]},{"type":"text","text":"` + want + `"}]}`, "stop", want, ""},
		{
			"a thought alone", `{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]}]}`, "stop", "",
			generate.Reason("reasoning without an answer"),
		},
		{"cut answer", content("how long must the machinery"), "length", "", generate.Reason("cut at the token limit")},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.New(t, reasoningServer(c.message, c.finish))
			path := filepath.Join(t.TempDir(), "answers.jsonl")
			for _, run := range []string{"asked", "replayed"} {
				answers, err := generate.OpenAnswers(t.Context(), path, nil)
				require.NoError(t, err)
				model, err := generate.Recorded(newClient(t, Options{URL: p.URL + "/v1"}), answers)
				require.NoError(t, err)
				var seen []generate.Answer
				types, err := generate.QueryTypes(generate.TypeQuestion)
				require.NoError(t, err)
				g, err := generate.NewPrompted(model, generate.PromptOptions{
					Types:   types,
					Observe: func(a generate.Answer) { seen = append(seen, a) },
				})
				require.NoError(t, err)
				queries, err := g.Generate(t.Context(), pump)
				require.NoError(t, err)
				require.Len(t, seen, 1)
				require.Equal(t, c.dropped, seen[0].Dropped, run)
				if c.query == "" {
					require.Empty(t, queries)
				} else {
					require.Equal(t, c.query, queries[0].Text)
				}
				require.NoError(t, answers.Close())
			}
			require.Len(t, p.Requests(), 1)
		})
	}
}

// The words of a query are the model's, also where the key is one of them.
func TestACommonKeyLeavesAnswersAsTheyAre(t *testing.T) {
	t.Setenv(defaultKeyVariable, "test")
	p := faultproxy.New(t, reasoningServer(content("How do I test a pump before anyone tests it?"), "stop"))
	got, err := newClient(t, Options{URL: p.URL + "/v1"}).Complete(t.Context(), request("x"))
	require.NoError(t, err)
	require.Equal(t, "How do I test a pump before anyone tests it?", got.Text)
	require.Equal(t, "Bearer test", p.Requests()[0].Header.Get("Authorization"))

	p = faultproxy.New(t, reasoningServer(`{"content":{"of":"a test"}}`, "stop"))
	_, err = newClient(t, Options{URL: p.URL + "/v1"}).Complete(t.Context(), request("x"))
	require.ErrorContains(t, err, `not text: {"of":"a test"}`)
	p = faultproxy.New(t, server, faultproxy.Answer(401, "application/json",
		`{"error":{"message":"Incorrect API key provided: test."}}`))
	_, err = newClient(t, Options{URL: p.URL + "/v1"}).Complete(t.Context(), request("x"))
	require.ErrorContains(t, err, "Incorrect API key provided: [API key].")
}
