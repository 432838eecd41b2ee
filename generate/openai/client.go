package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"

	api "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/httpretry"
	"github.com/retort-ir/retort/internal/parallel"
)

var _ generate.BatchCompleter = (*Client)(nil)

// Client asks one model of one server. It is safe for concurrent use.
type Client struct {
	options Options
	url     string
	http    *httpretry.Client
	service service

	mu    sync.Mutex
	usage generate.Usage
}

// New returns a client. It sends nothing yet: see Check.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.API = cmp.Or(o.API, Chat)
	u, err := httpretry.ParseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("openai: Options.URL: %w", err)
	}
	h, err := httpretry.New(o.http())
	if err != nil {
		return nil, fmt.Errorf("openai: %w", err)
	}
	c := &Client{options: o, url: u.String(), http: h}
	c.service = newService(c.url, h)
	return c, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }

// Model implements generate.Completer: the last part of the model's name, without the publisher.
func (c *Client) Model() string {
	name := strings.TrimRight(c.options.Model, "/")
	return name[strings.LastIndexByte(name, '/')+1:]
}

// Fingerprint stands for what answers depend on besides the request: server, model, API and extra fields.
func (c *Client) Fingerprint() string {
	extra, err := json.Marshal(c.options.Extra)
	if err != nil { // Validate has tried
		extra = nil
	}
	return fmt.Sprintf("openai %s %s %s %s", c.url, c.options.API, c.options.Model, extra)
}

// Usage returns what was done and spent so far.
func (c *Client) Usage() generate.Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	totals, counts := c.usage, c.http.Counts()
	totals.Requests, totals.Retries = counts.Requests, counts.Retries
	return totals
}

// Complete implements generate.Completer. Stop strings are sent in the raw form only. The seed is folded to 31 bits,
// which every server takes; whether it decides the answer is up to the server. Empty choices, refusals, calls of
// tools and what a content filter stops are errors.
func (c *Client) Complete(ctx context.Context, r generate.Request) (generate.Completion, error) {
	completion, err := c.complete(ctx, c.service, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.usage.Completions++
	case ctx.Err() == nil:
		c.usage.Failed++
	}
	return completion, err
}

// complete counts tokens and cost, also of an answer that is of no use.
func (c *Client) complete(ctx context.Context, s service, r generate.Request) (generate.Completion, error) {
	if r.MaxTokens < 1 {
		return generate.Completion{}, fmt.Errorf("openai: MaxTokens of the request is %d, want it >= 1", r.MaxTokens)
	}
	ask := s.askChat
	if c.options.API == Completions {
		ask = s.askCompletions
	}
	a, err := ask(ctx, c.options, r)
	if err != nil {
		if ctx.Err() != nil {
			return generate.Completion{}, ctx.Err()
		}
		return generate.Completion{}, fmt.Errorf("openai: %w", c.http.Redact(err))
	}
	c.count(a.usage)
	if a.err != nil {
		return generate.Completion{}, fmt.Errorf("openai: %s: %w", c.options.Model, a.err)
	}
	return generate.Completion{
		Text: a.text, Truncated: a.truncated, Reasoned: a.reasoned, PromptTokens: int(a.usage.prompt),
		Tokens: int(a.usage.completion),
	}, nil
}

func (c *Client) count(u usage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usage.PromptTokens += u.prompt
	c.usage.Tokens += u.completion
	if u.hasCost {
		c.usage.Cost += u.cost
		return
	}
	c.usage.Cost += (float64(u.prompt)*c.options.PromptPrice + float64(u.completion)*c.options.CompletionPrice) / 1e6
}

// BatchSize implements generate.BatchCompleter: so many that few slow answers do not keep the others waiting.
func (c *Client) BatchSize() int { return 4 * c.http.Concurrency() }

// CompleteBatch implements generate.BatchCompleter. No goroutine outlives the loop.
func (c *Client) CompleteBatch(ctx context.Context, requests []generate.Request) iter.Seq2[int, generate.Outcome] {
	return parallel.Calls(ctx, len(requests), c.http.Concurrency(), func(ctx context.Context, i int) (generate.Outcome,
		bool,
	) {
		completion, err := c.Complete(ctx, requests[i])
		return generate.Outcome{Completion: completion, Err: err}, err == nil || ctx.Err() == nil
	})
}

// Check asks for one token and says what is wrong: address, key, API or model. Only a server that asks for patience
// (429) is asked again. The answer counts in Usage.
func (c *Client) Check(ctx context.Context) error {
	once := newService(c.url, c.http.Once())
	err := c.probe(ctx, once)
	status := (*httpretry.StatusError)(nil)
	if errors.As(err, &status) && status.Code == http.StatusTooManyRequests {
		err = c.probe(ctx, c.service)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if answered := (*answerError)(nil); errors.As(err, &answered) {
		return err
	}
	if !errors.As(err, &status) {
		return fmt.Errorf("%w: does a server run at %s, and does its API begin there (most addresses end with /v1)?", err,
			c.url)
	}
	switch {
	case (status.Code == 401 || status.Code == 403) && c.http.HasKey():
		return fmt.Errorf("%w: the server refuses the key in %s", err, c.options.keyVariable())
	case status.Code == 401 || status.Code == 403:
		return fmt.Errorf("%w: the server wants a key: set the environment variable %s", err, c.options.keyVariable())
	case status.Code == 400 || status.Code == 404 || status.Code == 422:
		return fmt.Errorf("%w: %s", err, c.explain(ctx, once))
	}
	return err
}

func (c *Client) probe(ctx context.Context, s service) error {
	_, err := c.complete(ctx, s, generate.Request{
		Prompt: generate.Prompt{
			Prefix: "Hello", Messages: []generate.Message{{Role: generate.RoleUser, Content: "Hello"}},
		},
		MaxTokens: 1,
	})
	return err
}

// explain asks for the server's models, to tell a wrong model from a wrong address.
func (c *Client) explain(ctx context.Context, s service) string {
	page, err := s.models.List(ctx)
	if err != nil {
		return fmt.Sprintf("no list of models at %s either: does the API begin there (most addresses end with /v1)?", c.url)
	}
	const most = 20
	var names []string
	for _, m := range page.Data {
		if m.ID == c.options.Model {
			return fmt.Sprintf("the server has the model %q; does it know the API %q?", m.ID, c.options.API)
		}
		if len(names) < most {
			names = append(names, m.ID)
		}
	}
	if more := len(page.Data) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d others", more))
	}
	return fmt.Sprintf("the server has no model %q; it has %s", c.options.Model, s.http.Cut(strings.Join(names, ", ")))
}

// service sends requests through the official client, which does not retry here and reads no environment.
type service struct {
	chat        api.ChatCompletionService
	completions api.CompletionService
	models      api.ModelService
	http        *httpretry.Client
}

func newService(url string, h *httpretry.Client) service {
	options := []option.RequestOption{option.WithBaseURL(url), option.WithHTTPClient(h), option.WithMaxRetries(0)}
	return service{
		chat: api.NewChatCompletionService(options...), completions: api.NewCompletionService(options...),
		models: api.NewModelService(options...), http: h,
	}
}
