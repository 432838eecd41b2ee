package rerankapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/httpretry"
	"github.com/retort-ir/retort/teacher"
)

var _ teacher.BatchTeacher = (*Client)(nil)

// Client asks one model of one server. It is safe for concurrent use.
type Client struct {
	options  Options
	endpoint string
	http     *httpretry.Client
}

// Totals are what a client has sent so far.
type Totals struct {
	Requests int64 `json:"requests"` // retries counted
	Retries  int64 `json:"retries"`
}

// New returns a client. It sends nothing yet: see Check.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.MaxDocuments = cmp.Or(o.MaxDocuments, protocols[o.Kind].maxDocuments)
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	h, err := httpretry.New(o.http())
	if err != nil {
		return nil, fmt.Errorf("rerankapi: %w", err)
	}
	return &Client{options: o, endpoint: endpoint, http: h}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }

// Fingerprint implements encoder.Fingerprinter: protocol, address, model and what else scores depend on.
func (c *Client) Fingerprint() string {
	extra, err := json.Marshal(c.options.Extra)
	if err != nil { // Validate has tried
		extra = nil
	}
	return fmt.Sprintf("rerankapi %s %s %s %t %s", c.options.Kind, c.endpoint, c.options.Model, c.options.RawScores, extra)
}

// Totals returns what was sent so far.
func (c *Client) Totals() Totals {
	counts := c.http.Counts()
	return Totals{counts.Requests, counts.Retries}
}

// Score implements teacher.Teacher, with the server's scores as they are. A passage without text is not sent, its score is
// NaN. Errors name the query.
func (c *Client) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	return c.score(ctx, c.http, q, passages)
}

// BatchSize implements teacher.BatchTeacher: so many lists that few slow answers do not keep the others waiting.
func (c *Client) BatchSize() int { return 4 * c.http.Concurrency() }

// ScoreBatch implements teacher.BatchTeacher. No goroutine outlives the loop.
func (c *Client) ScoreBatch(ctx context.Context, lists []teacher.Work) iter.Seq2[int, teacher.Scored] {
	return httpretry.Parallel(ctx, len(lists), c.http.Concurrency(), func(ctx context.Context, i int) (teacher.Scored, bool) {
		scores, err := c.Score(ctx, lists[i].Query, lists[i].Passages)
		return teacher.Scored{Scores: scores, Err: err}, err == nil || ctx.Err() == nil
	})
}

// Check scores one document, without retries, and says what is wrong: address, protocol, key or model.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.score(ctx, c.http.Once(), retort.Query{ID: "check", Text: "hello"}, []retort.Passage{{ID: "check", Text: "hello"}})
	if err == nil || ctx.Err() != nil {
		return err
	}
	status := (*httpretry.StatusError)(nil)
	if !errors.As(err, &status) {
		return fmt.Errorf("%w: does a server of the kind %q run at %s?", err, c.options.Kind, c.endpoint)
	}
	switch {
	case (status.Code == 401 || status.Code == 403) && c.http.HasKey():
		return fmt.Errorf("%w: the server refuses the key in %s", err, c.options.KeyVariable)
	case status.Code == 401 || status.Code == 403:
		return fmt.Errorf("%w: the server wants a key: name its environment variable in Options.KeyVariable", err)
	case status.Code == 404 || status.Code == 405:
		return fmt.Errorf("%w: is the server at %s of the kind %q, and does it have the model %q?", err, c.endpoint, c.options.Kind, c.options.Model)
	}
	return err
}

// part are documents that are sent together.
type part struct {
	at    []int // their places in the list
	texts []string
}

func (c *Client) score(ctx context.Context, h *httpretry.Client, q retort.Query, passages []retort.Passage) ([]float64, error) {
	if strings.TrimSpace(q.Text) == "" {
		return nil, fmt.Errorf("rerankapi: query %q has no text", q.ID)
	}
	scores := make([]float64, len(passages))
	parts := c.parts(passages, scores)
	for i, got := range httpretry.Parallel(ctx, len(parts), h.Concurrency(), func(ctx context.Context, i int) (teacher.Scored, bool) {
		s, err := c.ask(ctx, h, q.Text, parts[i].texts)
		return teacher.Scored{Scores: s, Err: err}, err == nil || ctx.Err() == nil
	}) {
		if got.Err != nil {
			return nil, fmt.Errorf("rerankapi: query %q: %w", q.ID, got.Err)
		}
		for n, at := range parts[i].at {
			scores[at] = got.Scores[n]
		}
	}
	if err := ctx.Err(); err != nil { // parts may be missing
		return nil, err
	}
	return scores, nil
}

// parts cuts a list, and sets the scores of passages without text.
func (c *Client) parts(passages []retort.Passage, scores []float64) []part {
	var parts []part
	for i, p := range passages {
		text := strings.ToValidUTF8(p.Content(), "\ufffd")
		if strings.TrimSpace(text) == "" {
			scores[i] = math.NaN()
			continue
		}
		if len(parts) == 0 || len(parts[len(parts)-1].at) == c.options.MaxDocuments {
			parts = append(parts, part{})
		}
		last := &parts[len(parts)-1]
		last.at, last.texts = append(last.at, i), append(last.texts, text)
	}
	return parts
}

// ask sends one request and returns one score a text.
func (c *Client) ask(ctx context.Context, h *httpretry.Client, query string, texts []string) ([]float64, error) {
	body, err := json.Marshal(c.options.body(query, texts))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := h.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	scores, err := c.options.Kind.scores(answer, len(texts))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", c.endpoint, h.Redact(err), h.Cut(string(answer)))
	}
	return scores, nil
}
