package rerankapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// server speaks every protocol, by the path: the score of a document is its length and .5, the best stand first.
var server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	var body struct{ Texts, Documents, Text2 []string }
	data, _ := io.ReadAll(r.Body)
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	json.Unmarshal(fields["texts"], &body.Texts)
	json.Unmarshal(fields["documents"], &body.Documents)
	json.Unmarshal(fields["text_2"], &body.Text2)
	texts := slices.Concat(body.Texts, body.Documents, body.Text2)
	score, begin, end := "relevance_score", `{"id":"x","results":`, `,"usage":{"total_tokens":7}}`
	switch r.URL.Path {
	case "/rerank":
		score, begin, end = "score", "", ""
	case "/score":
		score, begin, end = "score", `{"id":"x","object":"list","data":`, `}`
	case "/v1/rerank", "/v2/rerank":
	default:
		http.NotFound(w, r)
		return
	}
	results := make([]map[string]any, len(texts))
	for i, text := range texts {
		results[i] = map[string]any{"index": i, score: float64(len(text)) + .5}
	}
	slices.SortStableFunc(results, func(a, b map[string]any) int { return int(b[score].(float64) - a[score].(float64)) })
	list, _ := json.Marshal(results)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "%s%s%s", begin, list, end)
})

var query = retort.Query{ID: "q7", Text: "close a file"}

func passages(texts ...string) []retort.Passage {
	ps := make([]retort.Passage, len(texts))
	for i, text := range texts {
		ps[i] = retort.Passage{ID: fmt.Sprint("p", i), Text: text}
	}
	return ps
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Kind == "" {
		o.Kind = kindTEI
	}
	if o.Model == "" {
		o.Model = "org/reranker"
	}
	o.wait = time.Microsecond
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
