package openai

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/generate"
)

// server answers the chat with "chat: " and the last message, the raw form with "raw: " and the prompt, and lists a model.
var server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Prompt   string
		Messages []generate.Message
	}
	data, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost && json.Unmarshal(data, &body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	const usage = `"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}`
	switch r.URL.Path {
	case "/v1/chat/completions":
		text, _ := json.Marshal("chat: " + body.Messages[len(body.Messages)-1].Content)
		fmt.Fprintf(w, `{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%s}}],%s}`, text, usage)
	case "/v1/completions":
		text, _ := json.Marshal("raw: " + body.Prompt)
		fmt.Fprintf(w, `{"choices":[{"index":0,"finish_reason":"stop","text":%s}],%s}`, text, usage)
	case "/v1/models":
		fmt.Fprint(w, `{"object":"list","data":[{"id":"first","object":"model"},{"id":"org/m-7b","object":"model"}]}`)
	default:
		http.NotFound(w, r)
	}
})

func request(text string) generate.Request {
	return generate.Request{
		Prompt: generate.Prompt{
			Prefix: "Passage:", Own: " " + text + "\nQuery:",
			Messages: []generate.Message{
				{Role: generate.RoleUser, Content: "an example"},
				{Role: generate.RoleAssistant, Content: "its query"},
				{Role: generate.RoleUser, Content: text},
			},
		},
		MaxTokens: 50, Temperature: .8, Stop: []string{"\n"}, Seed: 1 << 60,
	}
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Model == "" {
		o.Model = "org/m-7b"
	}
	o.wait = time.Microsecond
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
