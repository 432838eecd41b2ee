package openai

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/retort-ir/retort/internal/httpretry"
)

// API is one of a server's ways to ask.
type API string

// The two APIs. A base model knows completions only; most hosted models chat only.
const (
	Chat        API = "chat"        // POST /chat/completions with generate.Prompt.Messages
	Completions API = "completions" // POST /completions with generate.Prompt.Text
)

// defaultKeyVariable is the environment variable of the API key where Options.KeyVariable is "".
const defaultKeyVariable = "OPENAI_API_KEY"

// Options say which model to ask and how. URL and Model are needed.
type Options struct {
	// URL is the address of the API, as a rule ending with /v1: "https://api.openai.com/v1", "http://localhost:8080/v1".
	URL string
	// Model is its name on that server.
	Model string
	// API is Chat where it is "".
	API API
	// KeyVariable names the environment variable with the API key, which must then be set; "" means OPENAI_API_KEY,
	// and no key where that is not set.
	KeyVariable string
	// Extra are further fields of each request: {"top_p": 0.95}. A nil value takes a field out: {"max_tokens": nil,
	// "max_completion_tokens": 50} for models that know only the latter.
	Extra map[string]any

	// Concurrency is the most requests in flight; 0 means 8.
	Concurrency int
	// PerMinute is the most requests a minute; 0 means no limit.
	PerMinute int
	// Attempts is how often a request is tried; 0 means 6.
	Attempts int
	// MaxRequests is the most requests the client sends in its life, retries counted, as a bound on money; 0 means no
	// limit.
	MaxRequests int
	// Timeout of one attempt; 0 means 2 minutes.
	Timeout time.Duration
	// PromptPrice and CompletionPrice are per million tokens, for Usage.Cost where the server does not report it.
	PromptPrice, CompletionPrice float64
	// Logger gets a message about every retry at the level Debug; nil means slog.Default().
	Logger *slog.Logger

	wait time.Duration // limit of the first wait between attempts; tests shorten it
}

// Validate returns an error that names the wrong field.
func (o Options) Validate() error {
	if _, err := httpretry.ParseURL(o.URL); err != nil {
		return fmt.Errorf("openai: Options.URL: %w", err)
	}
	switch {
	case o.Model == "":
		return fmt.Errorf("openai: Options.Model is empty: name a model of %s", o.URL)
	case o.API != "" && o.API != Chat && o.API != Completions:
		return fmt.Errorf("openai: Options.API is %q, want %q or %q", o.API, Chat, Completions)
	case !(o.PromptPrice >= 0) || math.IsInf(o.PromptPrice, 1):
		return fmt.Errorf("openai: Options.PromptPrice is %g, want it >= 0", o.PromptPrice)
	case !(o.CompletionPrice >= 0) || math.IsInf(o.CompletionPrice, 1):
		return fmt.Errorf("openai: Options.CompletionPrice is %g, want it >= 0", o.CompletionPrice)
	}
	if _, err := json.Marshal(o.Extra); err != nil {
		return fmt.Errorf("openai: Options.Extra: %w", err)
	}
	if err := o.http().Validate(); err != nil {
		return fmt.Errorf("openai: Options.%w", err)
	}
	return nil
}

func (o Options) keyVariable() string { return cmp.Or(o.KeyVariable, defaultKeyVariable) }

func (o Options) http() httpretry.Options {
	return httpretry.Options{
		KeyVariable: o.keyVariable(), KeyRequired: o.KeyVariable != "",
		Concurrency: o.Concurrency, PerMinute: o.PerMinute, Attempts: o.Attempts, MaxRequests: o.MaxRequests,
		Timeout: o.Timeout, Wait: o.wait, Logger: o.Logger,
	}
}
