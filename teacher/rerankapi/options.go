package rerankapi

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/retort-ir/retort/internal/httpretry"
)

// Kind is the protocol of a server: "tei" for text-embeddings-inference, "cohere", "jina", which llama.cpp serves too,
// "vllm", or "vllm-score" for vLLM's /score.
type Kind string

// The kinds, with the path that follows Options.URL and the most documents of a request where
// Options.MaxDocuments is 0.
const (
	kindTEI       Kind = "tei"        // text-embeddings-inference: POST /rerank, 32
	kindCohere    Kind = "cohere"     // POST /v2/rerank, 100
	kindJina      Kind = "jina"       // POST /v1/rerank, 100; llama.cpp serves it too
	kindVLLM      Kind = "vllm"       // POST /v1/rerank, 100
	kindVLLMScore Kind = "vllm-score" // POST /score, 100
)

// protocol is what tells the kinds apart besides their JSON.
type protocol struct {
	path         string
	maxDocuments int
}

var protocols = map[Kind]protocol{
	kindTEI:       {"/rerank", 32},
	kindCohere:    {"/v2/rerank", 100},
	kindJina:      {"/v1/rerank", 100},
	kindVLLM:      {"/v1/rerank", 100},
	kindVLLMScore: {"/score", 100},
}

// Options say which server to ask and how. Kind, URL and Model are needed.
type Options struct {
	Kind Kind
	// URL is the server's address, such as "https://api.cohere.com", or the whole address of its endpoint.
	URL string
	// Model is its name on that server. Text-embeddings-inference serves one and is not told; there too the name
	// is in the fingerprint, so that the cached scores of two models are kept apart.
	Model string
	// KeyVariable names the environment variable with the API key, which must then be set; "" means that no key is sent.
	KeyVariable string
	// RawScores asks text-embeddings-inference for logits: its probabilities run together near 0 and 1. The others have no
	// such choice.
	RawScores bool
	// Truncate asks the server to cut what is longer than its model takes: truncate_prompt_tokens -1 for vLLM,
	// truncation for Jina. Text-embeddings-inference is always asked for it, and Cohere does it by itself. Without it
	// vLLM refuses a pair that is too long, and the passage's score is missing.
	Truncate bool
	// Extra are further fields of each request, and win over the client's own: {"truncate_prompt_tokens": 512}.
	Extra map[string]any

	// MaxDocuments is the most documents of a request; 0 means what Kind says.
	MaxDocuments int
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
	// Logger gets every passage that the server refuses, at the level Warn, and every retry at the level Debug;
	// nil means slog.Default().
	Logger *slog.Logger

	wait time.Duration // limit of the first wait between attempts; tests shorten it
}

// Validate returns an error that names the wrong field.
func (o Options) Validate() error {
	if _, ok := protocols[o.Kind]; !ok {
		return fmt.Errorf("rerankapi: Options.Kind is %q, want %q, %q, %q, %q or %q", o.Kind, kindTEI, kindCohere, kindJina, kindVLLM,
			kindVLLMScore)
	}
	if _, err := httpretry.ParseURL(o.URL); err != nil {
		return fmt.Errorf("rerankapi: Options.URL: %w", err)
	}
	if _, err := json.Marshal(o.Extra); err != nil {
		return fmt.Errorf("rerankapi: Options.Extra: %w", err)
	}
	switch {
	case o.Model == "":
		return fmt.Errorf("rerankapi: Options.Model is empty: name the model that %s serves", o.URL)
	case o.RawScores && o.Kind != kindTEI:
		return fmt.Errorf("rerankapi: Options.RawScores is for the kind %q, not %q", kindTEI, o.Kind)
	case o.MaxDocuments < 0:
		return fmt.Errorf("rerankapi: Options.MaxDocuments is %d, want it >= 0", o.MaxDocuments)
	}
	if err := o.http().Validate(); err != nil {
		return fmt.Errorf("rerankapi: Options.%w", err)
	}
	return nil
}

func (o Options) http() httpretry.Options {
	return httpretry.Options{
		KeyVariable: o.KeyVariable, KeyRequired: o.KeyVariable != "",
		Concurrency: o.Concurrency, PerMinute: o.PerMinute, Attempts: o.Attempts, MaxRequests: o.MaxRequests,
		Timeout: o.Timeout, Wait: o.wait, Logger: o.Logger,
	}
}

// endpoint returns the address that is asked. It has no credentials, which ParseURL refuses.
func (o Options) endpoint() (string, error) {
	u, err := httpretry.ParseURL(o.URL)
	if err != nil {
		return "", fmt.Errorf("rerankapi: Options.URL: %w", err)
	}
	path := protocols[o.Kind].path
	last := path[strings.LastIndexByte(path, '/'):] // "/rerank"
	if strings.HasSuffix(u.Path, last) {
		return u.String(), nil
	}
	version := strings.TrimSuffix(path, last) // "/v1"
	u.Path = strings.TrimSuffix(u.Path, version) + path
	return u.String(), nil
}
