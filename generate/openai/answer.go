package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	api "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/respjson"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/strictjson"
)

// answer is what came back, paid for in any case.
type answer struct {
	text      string
	truncated bool
	reasoned  bool // the server has set a reasoning apart
	usage     usage
	err       error // the model or server gave no completion
}

type usage struct {
	prompt, completion int64
	cost               float64
	hasCost            bool
}

// maxStops is how many stop strings OpenAI takes. The others are found here.
const maxStops = 4

func (s service) askCompletions(ctx context.Context, o Options, r generate.Request) (answer, error) {
	params := api.CompletionNewParams{
		Model:       api.CompletionNewParamsModel(o.Model),
		Prompt:      api.CompletionNewParamsPromptUnion{OfString: api.String(r.Prompt.Text())},
		MaxTokens:   api.Int(int64(r.MaxTokens)),
		Temperature: api.Float(r.Temperature),
		Seed:        api.Int(foldSeed(r.Seed)),
	}
	if len(r.Stop) > 0 {
		params.Stop = api.CompletionNewParamsStopUnion{OfStringArray: r.Stop[:min(len(r.Stop), maxStops)]}
	}
	params.SetExtraFields(o.extra())
	res, err := s.completions.New(ctx, params)
	if err != nil {
		return answer{}, err
	}
	a := answer{usage: usageOf(res.Usage)}
	if len(res.Choices) == 0 {
		a.err = s.noChoices(res.RawJSON())
		return a, nil
	}
	choice := res.Choices[0]
	a.truncated = choice.FinishReason == api.CompletionChoiceFinishReasonLength
	a.text, _, a.err = s.textOf(choice.JSON.Text, choice.Text)
	if choice.FinishReason == api.CompletionChoiceFinishReasonContentFilter {
		a.err = errFiltered
	}
	if text, stopped := cutAtStop(a.text, r.Stop); stopped {
		a.text, a.truncated = text, false
	}
	return a, nil
}

func (s service) askChat(ctx context.Context, o Options, r generate.Request) (answer, error) {
	params := api.ChatCompletionNewParams{
		Model:       api.ChatModel(o.Model),
		MaxTokens:   api.Int(int64(r.MaxTokens)),
		Temperature: api.Float(r.Temperature),
		Seed:        api.Int(foldSeed(r.Seed)),
	}
	for i, m := range r.Prompt.Messages {
		switch m.Role {
		case generate.RoleUser:
			params.Messages = append(params.Messages, api.UserMessage(m.Content))
		case generate.RoleAssistant:
			params.Messages = append(params.Messages, api.AssistantMessage(m.Content))
		default:
			return answer{}, fmt.Errorf("message %d of the prompt has the role %q, want %q or %q", i, m.Role, generate.RoleUser,
				generate.RoleAssistant)
		}
	}
	if len(params.Messages) == 0 {
		return answer{}, errors.New("the prompt has no messages: use the API " + string(Completions) + " for raw prompts")
	}
	params.SetExtraFields(o.extra())
	res, err := s.chat.New(ctx, params)
	if err != nil {
		return answer{}, err
	}
	a := answer{usage: usageOf(res.Usage)}
	if len(res.Choices) == 0 {
		a.err = s.noChoices(res.RawJSON())
		return a, nil
	}
	choice := res.Choices[0]
	a.truncated = choice.FinishReason == "length"
	a.text, a.reasoned, a.err = s.textOf(choice.Message.JSON.Content, choice.Message.Content)
	a.reasoned = a.reasoned || hasReasoning(choice.Message.JSON.ExtraFields) ||
		res.Usage.CompletionTokensDetails.ReasoningTokens > 0
	switch {
	case choice.Message.Refusal != "":
		a.err = &answerError{"the model refuses: " + s.http.Cut(choice.Message.Refusal)}
	case choice.FinishReason == "content_filter":
		a.err = errFiltered
	case len(choice.Message.ToolCalls) > 0 || choice.FinishReason == "tool_calls" ||
		choice.FinishReason == "function_call":
		a.err = &answerError{"the model calls a tool instead of answering"}
	case choice.FinishReason == "error":
		a.err = &answerError{"the server failed while the model wrote: " + s.http.Message([]byte(choice.RawJSON()))}
	}
	return a, nil
}

var errFiltered = &answerError{"a content filter stopped the answer"}

// answerError is an answer in the API's own words that holds no completion: address and API are right.
type answerError struct{ text string }

func (e *answerError) Error() string { return e.text }

// extra returns Options.Extra as the official client wants it.
func (o Options) extra() map[string]any {
	extra := make(map[string]any, len(o.Extra))
	for name, value := range o.Extra {
		if value == nil {
			value = param.Omit
		}
		extra[name] = value
	}
	return extra
}

// noChoices tells what the server says, as some do with status 200.
func (s service) noChoices(raw string) error {
	text := "the answer holds no choices: " + s.http.Message([]byte(raw))
	var told struct {
		Error json.RawMessage `json:"error"`
	}
	if strictjson.Unmarshal([]byte(raw), &told) == nil && told.Error != nil {
		return &answerError{text}
	}
	return errors.New(text)
}

// textOf tells a text from something else, for which the official client gives "". No text at all is "": the model has
// written nothing, or a reasoning only. A list of parts (Mistral's API and others) is the texts in it; reasoned says
// that there are parts of a reasoning beside them.
func (s service) textOf(field respjson.Field, text string) (_ string, reasoned bool, _ error) {
	raw := field.Raw()
	if field.Valid() || raw == "" || raw == "null" {
		return text, false, nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	noText := fmt.Errorf("the answer's content is not text: %s", s.http.Cut(raw))
	if strictjson.Unmarshal([]byte(raw), &parts) != nil {
		return "", false, noText
	}
	var b strings.Builder
	for _, part := range parts {
		switch {
		case part.Type == "thinking" || part.Type == "reasoning":
			reasoned = true
		case (part.Type == "text" || part.Type == "output_text") && part.Text != nil:
			b.WriteString(*part.Text)
		default:
			return "", false, noText
		}
	}
	return b.String(), reasoned, nil
}

// hasReasoning finds the fields in which servers set a model's reasoning apart: reasoning_content (DeepSeek, vLLM,
// llama.cpp) and reasoning (OpenRouter, Ollama, newer vLLM).
func hasReasoning(fields map[string]respjson.Field) bool {
	for _, name := range []string{"reasoning_content", "reasoning"} {
		if raw := strings.TrimSpace(fields[name].Raw()); raw != "" && raw != "null" && raw != `""` {
			return true
		}
	}
	return false
}

func cutAtStop(text string, stops []string) (string, bool) {
	end := len(text)
	for _, stop := range stops {
		if at := strings.Index(text, stop); stop != "" && at >= 0 {
			end = min(end, at)
		}
	}
	return text[:end], end < len(text)
}

// foldSeed keeps to the numbers that every server takes: llama.cpp has 32 bits, of which the highest means a random
// seed.
func foldSeed(seed uint64) int64 {
	return int64((seed ^ seed>>31 ^ seed>>62) & (1<<31 - 1))
}

func usageOf(u api.CompletionUsage) usage {
	out := usage{prompt: max(0, u.PromptTokens), completion: max(0, u.CompletionTokens)}
	raw := u.JSON.ExtraFields["cost"].Raw()
	if strictjson.Unmarshal([]byte(raw), &out.cost) == nil && raw != "null" && out.cost >= 0 && !math.IsInf(out.cost, 1) {
		out.hasCost = true
	} else {
		out.cost = 0
	}
	return out
}
