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
	"github.com/retort-ir/retort/internal/parallel"
	"github.com/retort-ir/retort/teacher"
)

var _ teacher.BatchTeacher = (*Client)(nil)

// Client asks one model of one server. It is safe for concurrent use.
type Client struct {
	options  Options
	endpoint string
	http     *httpretry.Client
	refusals *refusals
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
	return &Client{options: o, endpoint: endpoint, http: h, refusals: &refusals{}}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }

// Fingerprint implements encoder.Fingerprinter: protocol, address, model and what else scores depend on.
func (c *Client) Fingerprint() string {
	extra, err := json.Marshal(c.options.Extra)
	if err != nil { // Validate has tried
		extra = nil
	}
	fingerprint := fmt.Sprintf("rerankapi %s %s %s %t %s", c.options.Kind, c.endpoint, c.options.Model,
		c.options.RawScores, extra)
	if c.options.Truncate {
		fingerprint += " truncated"
	}
	return fingerprint
}

// Requests returns how many requests were sent so far, retries counted.
func (c *Client) Requests() int64 { return c.http.Counts().Requests }

// Retries returns how many of the requests were retries.
func (c *Client) Retries() int64 { return c.http.Counts().Retries }

// Refused is how many passages the server has refused to score, for those who count what scores cost.
func (c *Client) Refused() int { return c.refusals.count() }

// Score implements teacher.Teacher, with the server's scores as they are. A passage without text is not sent, its
// score is NaN; so is the score of one that the server refuses, up to a limit. Errors name the query.
func (c *Client) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	return c.score(ctx, c.http, q, passages)
}

// BatchSize implements teacher.BatchTeacher: so many lists that few slow answers do not keep the others waiting.
func (c *Client) BatchSize() int { return 4 * c.http.Concurrency() }

// ScoreBatch implements teacher.BatchTeacher. No goroutine outlives the loop.
func (c *Client) ScoreBatch(ctx context.Context, lists []teacher.Work) iter.Seq2[int, teacher.Scored] {
	return parallel.Calls(ctx, len(lists), c.http.Concurrency(), func(ctx context.Context, i int) (teacher.Scored, bool) {
		scores, err := c.Score(ctx, lists[i].Query, lists[i].Passages)
		return teacher.Scored{Scores: scores, Err: err}, err == nil || ctx.Err() == nil
	})
}

// Check scores one document and says what is wrong: address, protocol, key or model. Only a server that asks for
// patience (429) is asked again.
func (c *Client) Check(ctx context.Context) error {
	err := c.probe(ctx, c.http.Once())
	status := (*httpretry.StatusError)(nil)
	if errors.As(err, &status) && status.Code == http.StatusTooManyRequests {
		err = c.probe(ctx, c.http)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if !errors.As(err, &status) {
		return fmt.Errorf("%w: does a server of the kind %q run at %s?", err, c.options.Kind, c.endpoint)
	}
	switch {
	case (status.Code == 401 || status.Code == 403) && c.http.HasKey():
		return fmt.Errorf("%w: the server refuses the key in %s", err, c.options.KeyVariable)
	case status.Code == 401 || status.Code == 403:
		return fmt.Errorf("%w: the server wants a key: name its environment variable in Options.KeyVariable", err)
	case status.Code == 404 || status.Code == 405:
		return fmt.Errorf("%w: is the server at %s of the kind %q, and does it have the model %q?", err, c.endpoint,
			c.options.Kind, c.options.Model)
	}
	return err
}

func (c *Client) probe(ctx context.Context, h *httpretry.Client) error {
	if _, err := c.request(ctx, h, "hello", []string{"hello"}); err != nil {
		return fmt.Errorf("rerankapi: %w", err)
	}
	return nil
}

// part are documents that are sent together.
type part struct {
	at    []int // their places in the list
	texts []string
}

func (p part) halves() [2]part {
	half := len(p.at) / 2
	return [2]part{{p.at[:half], p.texts[:half]}, {p.at[half:], p.texts[half:]}}
}

func (c *Client) score(
	ctx context.Context, h *httpretry.Client, q retort.Query, passages []retort.Passage,
) ([]float64, error) {
	if strings.TrimSpace(q.Text) == "" {
		return nil, fmt.Errorf("rerankapi: query %q has no text", q.ID)
	}
	scores := make([]float64, len(passages))
	parts := c.parts(passages, scores)
	var refused []refusal
	sent := 0
	for i, got := range parallel.Calls(ctx, len(parts), h.Concurrency(),
		func(ctx context.Context, i int) (asked, bool) {
			a := c.ask(ctx, h, q.Text, parts[i])
			return a, a.err == nil || ctx.Err() == nil
		}) {
		if got.err != nil && got.blamed >= 0 {
			got.err = fmt.Errorf("%w (passage %q)", got.err, passages[got.blamed].ID)
		}
		if got.err != nil {
			return nil, fmt.Errorf("rerankapi: query %q: %w", q.ID, got.err)
		}
		sent += len(parts[i].at)
		for n, at := range parts[i].at {
			scores[at] = got.scores[n]
		}
		refused = append(refused, got.refused...)
	}
	if err := ctx.Err(); err != nil { // parts may be missing
		return nil, err
	}
	if err := c.forgive(ctx, q, passages, refused, sent); err != nil {
		return nil, fmt.Errorf("rerankapi: query %q: %w", q.ID, err)
	}
	return scores, nil
}

// parts cuts a list, and sets the scores of passages without text. What the server has refused before is sent alone.
func (c *Client) parts(passages []retort.Passage, scores []float64) []part {
	var parts []part
	open := -1 // the part that is being filled
	for i, p := range passages {
		text := textOf(p)
		if strings.TrimSpace(text) == "" {
			scores[i] = math.NaN()
			continue
		}
		if c.refusals.has(text) {
			parts = append(parts, part{[]int{i}, []string{text}})
			continue
		}
		if open < 0 || len(parts[open].at) == c.options.MaxDocuments {
			open = len(parts)
			parts = append(parts, part{})
		}
		last := &parts[open]
		last.at, last.texts = append(last.at, i), append(last.texts, text)
	}
	return parts
}

func textOf(p retort.Passage) string { return strings.ToValidUTF8(p.Content(), "\ufffd") }

// asked is what came of a part: one score a text, NaN where the server refused it.
type asked struct {
	scores  []float64
	refused []refusal
	err     error
	blamed  int // the place in the list of the passage that err is about; -1: none
}

// ask sends a part, in halves where the server refuses it, until it is known which texts the server refuses.
func (c *Client) ask(ctx context.Context, h *httpretry.Client, query string, p part) asked {
	scores, err := c.request(ctx, h, query, p.texts)
	switch {
	case err == nil:
		return asked{scores: scores}
	case !isTooLong(err) || ctx.Err() != nil:
		document := documentError{}
		if errors.As(err, &document) {
			return asked{err: err, blamed: p.at[document.index]}
		}
		return asked{err: err, blamed: -1}
	case len(p.at) == 1:
		return asked{scores: []float64{math.NaN()}, refused: []refusal{{p.at[0], p.texts[0], err}}}
	}
	var all asked
	for _, half := range p.halves() {
		a := c.ask(ctx, h, query, half)
		if a.err != nil {
			return a
		}
		all.scores, all.refused = append(all.scores, a.scores...), append(all.refused, a.refused...)
	}
	return all
}

// isTooLong says that a text of the request is to blame and not the request as such.
func isTooLong(err error) bool {
	status := (*httpretry.StatusError)(nil)
	return errors.As(err, &status) && status.TooLong()
}

// request sends one request and returns one score a text.
func (c *Client) request(ctx context.Context, h *httpretry.Client, query string, texts []string) ([]float64, error) {
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
