package rerankapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/faultproxy"
	"github.com/retort-ir/retort/teacher"
)

// limited refuses requests with a pair of more than 32 words as the servers of rerankers do, unless it is asked to cut
// them.
func limited(status int, message string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		var body struct {
			Query                    string
			Documents, Texts, Text_2 []string
		}
		var fields map[string]any
		json.Unmarshal(data, &body)
		json.Unmarshal(data, &fields)
		cut := fields["truncate_prompt_tokens"] != nil || fields["truncation"] == true
		for _, d := range append(append(body.Documents, body.Texts...), body.Text_2...) {
			if len(strings.Fields(d))+len(strings.Fields(body.Query)) > 32 && !cut {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"error":{"message":%q}}`, message)
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
		server.ServeHTTP(w, r)
	})
}

const vllmTooLong = "This model's maximum context length is 32 tokens. However, your prompt contains more."

var long = strings.Repeat("steam ", 40)

func TestAPassageThatIsTooLongIsNamedAndGoesWithoutAScore(t *testing.T) {
	for _, c := range []struct {
		status  int
		message string
	}{
		{400, vllmTooLong},
		{400, "The decoder prompt (length 600) is longer than the maximum model length of 512."},
		{400, "the request exceeds the available context size, try increasing it"},
		{400, "too many tokens: total number of tokens in the query and document exceeds 4096"},
		{413, "Input validation error: `inputs` must have less than 32 tokens. Given: 44"},
		{413, "Payload Too Large"},
		{422, "Input is too long for the requested model"},
		{422, "tokenization error: sequence length 600 is greater than the limit of 512 tokens"},
		{500, "input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)"},
	} {
		t.Run(c.message, func(t *testing.T) {
			p := faultproxy.New(t, limited(c.status, c.message))
			var log bytes.Buffer
			client := newClient(t, Options{Kind: kindVLLM, URL: p.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			got, err := client.Score(t.Context(), query, passages("aaa", "bb", long, "c", "dd"))
			require.NoError(t, err)
			require.True(t, math.IsNaN(got[2]))
			got[2] = -1
			require.Equal(t, []float64{3.5, 2.5, -1, 1.5, 2.5}, got)
			require.Equal(t, 1, client.Refused())
			require.Contains(t, log.String(), "passage=p2")
			require.Contains(t, log.String(), "query=q7")
			require.Contains(t, log.String(), c.message[:10])

			// What was refused once is sent alone, and not spoken of again.
			before, logged := len(p.Requests()), log.Len()
			_, err = client.Score(t.Context(), query, passages("aaa", long, "c"))
			require.NoError(t, err)
			require.Len(t, p.Requests(), before+2)
			require.Equal(t, logged, log.Len())
			filled, err := teacher.Score(t.Context(), client, query, passages("aaa", long, "c"))
			require.NoError(t, err)
			require.Equal(t, []float64{3.5, 1.5, 1.5}, filled)
		})
	}
}

func TestTruncateAsksEachServerInItsWay(t *testing.T) {
	for kind, want := range map[Kind]string{
		kindVLLM: `"truncate_prompt_tokens":-1`, kindVLLMScore: `"truncate_prompt_tokens":-1`, kindJina: `"truncation":true`,
		kindTEI: `"truncate":true`, kindCohere: `{`,
	} {
		p := faultproxy.New(t, limited(400, vllmTooLong))
		client := newClient(t, Options{Kind: kind, URL: p.URL, Truncate: true})
		got, err := client.Score(t.Context(), query, passages("aaa", "b"))
		require.NoError(t, err)
		require.Equal(t, []float64{3.5, 1.5}, got)
		require.Contains(t, string(p.Requests()[0].Body), want)
		if kind == kindVLLM || kind == kindVLLMScore || kind == kindJina {
			got, err = client.Score(t.Context(), query, passages(long))
			require.NoError(t, err)
			require.False(t, math.IsNaN(got[0]))
		}
		require.NotEqual(t, newClient(t, Options{Kind: kind, URL: p.URL}).Fingerprint(), client.Fingerprint())
	}
	o := Options{Kind: kindVLLM, Truncate: true, Extra: map[string]any{"truncate_prompt_tokens": 512}}
	require.Equal(t, 512, o.body("q", nil)["truncate_prompt_tokens"])
}

func TestManyPassagesThatAreTooLongEndTheRun(t *testing.T) {
	p := faultproxy.New(t, limited(400, vllmTooLong))
	client := newClient(t, Options{Kind: kindVLLM, URL: p.URL, Logger: slog.New(slog.DiscardHandler)})
	failed := 0
	for i := range forgivenRefusals + 3 {
		list := []retort.Passage{{ID: fmt.Sprint("long", i), Text: fmt.Sprint(i, " ", long)}, {ID: "short", Text: "a"}}
		_, err := client.Score(t.Context(), query, list)
		if i < forgivenRefusals {
			require.NoError(t, err)
			continue
		}
		failed++
		require.ErrorContains(t, err, fmt.Sprintf(`passage "long%d"`, i))
		require.ErrorContains(t, err, vllmTooLong)
		require.ErrorContains(t, err, "-rerank-truncate")
	}
	require.Equal(t, 3, failed)
}

func TestAFewLongPassagesOfManyAreForgiven(t *testing.T) {
	p := faultproxy.New(t, limited(400, vllmTooLong))
	client := newClient(t, Options{Kind: kindVLLM, URL: p.URL, Logger: slog.New(slog.DiscardHandler)})
	for i := range 2 * forgivenRefusals {
		list := []retort.Passage{{ID: "long", Text: fmt.Sprint(i, " ", long)}}
		for n := range 99 {
			list = append(list, retort.Passage{ID: fmt.Sprint(i, n), Text: fmt.Sprint(i, " ", n)})
		}
		_, err := client.Score(t.Context(), query, list)
		require.NoError(t, err)
	}
	require.Equal(t, 2*forgivenRefusals, client.Refused())
}

func TestAQueryThatIsTooLongIsNamed(t *testing.T) {
	p := faultproxy.New(t, limited(400, vllmTooLong))
	var log bytes.Buffer
	client := newClient(t, Options{Kind: kindVLLM, URL: p.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	got, err := client.Score(t.Context(), retort.Query{ID: "q8", Text: long}, passages("a", "b", "c"))
	require.NoError(t, err)
	require.True(t, math.IsNaN(got[0]) && math.IsNaN(got[1]) && math.IsNaN(got[2]))
	require.Contains(t, log.String(), "query=q8")
	require.Zero(t, client.Refused())
}

func TestTheFirstProbeWaitsWhenTheServerAsksForIt(t *testing.T) {
	p := faultproxy.New(t, server, faultproxy.Status(429), faultproxy.Status(429), faultproxy.Status(503))
	require.NoError(t, newClient(t, Options{URL: p.URL}).Check(t.Context()))
	require.Len(t, p.Requests(), 4)
	p = faultproxy.Always(t, server, faultproxy.Status(429))
	require.ErrorContains(t, newClient(t, Options{URL: p.URL, Attempts: 3}).Check(t.Context()), "HTTP 429")
	require.Len(t, p.Requests(), 4)
}

func TestAMissingScoreNamesItsPassage(t *testing.T) {
	for body, want := range map[string]string{
		`[{"index":0,"score":1},{"index":2,"score":1}]`:                           `(passage "p1")`,
		`[{"index":0,"score":1},{"index":1,"score":1},{"index":2,"score":null}]`:  `(passage "p2")`,
		`[{"index":0,"score":1},{"index":1,"score":NaN},{"index":2,"score":0.5}]`: "it holds NaN or Infinity",
	} {
		p := faultproxy.Always(t, server, faultproxy.Answer(200, "application/json", body))
		_, err := newClient(t, Options{URL: p.URL, Attempts: 2}).Score(t.Context(), query, passages("a", "b", "c"))
		require.ErrorContains(t, err, want)
	}
}
