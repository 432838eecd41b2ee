package generate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
)

// Completer is a language model: text in, text out. Implementations are safe for concurrent use. One that has a method
// Fingerprint() string, a digest of all that its answers depend on (weights, tokenizer, chat template, quantisation),
// makes Prompted's fingerprint exact; otherwise the Model is used.
type Completer interface {
	// Complete returns what the model writes to the prompt: behind Prompt.Text() up to the first of the stop strings,
	// or as the next turn behind Prompt.Messages, where stop strings do not matter. Equal requests get equal answers
	// where the model can do that.
	Complete(ctx context.Context, r Request) (Completion, error)
	// Model names the model for Query.Origin: "SmolLM2-135M-Instruct". It is never a path.
	Model() string
}

// BatchCompleter is a Completer that works faster on many requests at once.
type BatchCompleter interface {
	Completer
	// BatchSize is how many requests it would like to get at once, >= 1.
	BatchSize() int
	// CompleteBatch yields the outcome of every request under its index, once each and in the order in which they
	// finish. An answer does not depend on the other requests of the batch. When the context ends so does the sequence;
	// what is missing then has not been answered.
	CompleteBatch(ctx context.Context, requests []Request) iter.Seq2[int, Outcome]
}

// Outcome is a Completion or an error.
type Outcome struct {
	Completion
	Err error
}

// Request asks for one completion.
type Request struct {
	Prompt Prompt `json:"prompt"`
	// MaxTokens is the most tokens to write, >= 1.
	MaxTokens int `json:"max_tokens"`
	// Temperature divides the logits; 0 means the likeliest token each time.
	Temperature float64 `json:"temperature"`
	// Stop ends the raw form's completion and is no part of it.
	Stop []string `json:"stop,omitempty"`
	// Seed is the request's own, whatever else is in its batch.
	Seed uint64 `json:"seed"`
}

// Key is a digest of the request: a store of answers under their model's fingerprint and this key pays for none twice.
func (r Request) Key() string {
	b, err := json.Marshal(r)
	if err != nil { // an infinite temperature, which no valid request has
		b = fmt.Appendf(nil, "%+v", r)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// Completion is what a model wrote.
type Completion struct {
	Text string `json:"text"`
	// Truncated says that MaxTokens ended it.
	Truncated bool `json:"truncated,omitempty"`
	// Reasoned says that the model has written a reasoning that is no part of Text, as some servers set it apart.
	Reasoned bool `json:"reasoned,omitempty"`
	// PromptTokens and Tokens count what was read and written; 0 where the model does not say.
	PromptTokens int `json:"prompt_tokens,omitempty"`
	Tokens       int `json:"tokens,omitempty"`
}

// Usage is what the client of a server has done and spent so far.
type Usage struct {
	Requests     int64   `json:"requests"` // sent to the server, retries counted
	Retries      int64   `json:"retries"`
	Completions  int64   `json:"completions"` // answered
	Failed       int64   `json:"failed"`      // completions that failed for good; not those that the context's end stopped
	PromptTokens int64   `json:"prompt_tokens"`
	Tokens       int64   `json:"tokens"` // written by the model
	Cost         float64 `json:"cost"`   // as the server reports it (usage.cost), otherwise by the prices of its options
}
