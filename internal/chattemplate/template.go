package chattemplate

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string // system, user or assistant; which ones there may be is the template's say
	Content string
}

// Template is a compiled chat template. It is safe for concurrent use.
type Template struct {
	body []stmt
	now  func() time.Time
}

// The bounds of one rendering.
const (
	maxSource = 256 << 10 // bytes of the template
	maxSteps  = 1_000_000 // expressions and statements, and the size of the values they read and make
	maxText   = 16 << 20  // bytes of the output, and of a string on the way
	maxValue  = 32 << 20  // bytes of a list or dict, where a part that occurs twice counts twice
	maxRange  = 100_000   // as in Jinja's sandbox
	maxMacros = 100       // macros within macros
	maxError  = 1000      // bytes of an error's text
	stepBytes = 256       // bytes of a value that count as a step
)

// Compile reads a template. An error names the line and what is wrong or not supported.
func Compile(source string) (*Template, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("chat template: %d bytes, the limit is %d", len(source), maxSource)
	}
	tokens, err := lex(source)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	body, err := parse(tokens)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	return &Template{body: body, now: time.Now}, nil
}

// Render returns the text of a conversation. bos and eos are the model's tokens for the begin and the end of a text, which
// the template places; addGenerationPrompt ends the text where the assistant's answer begins. A template can refuse a
// conversation, say one whose roles do not alternate, with an error of its own.
func (t *Template) Render(messages []Message, bos, eos string, addGenerationPrompt bool) (string, error) {
	list := make([]any, len(messages))
	size := 0
	for i, m := range messages {
		size += len(m.Role) + len(m.Content)
		list[i] = newDict("role", m.Role, "content", m.Content)
	}
	s := &state{now: t.now, maxSteps: maxSteps + size/4}
	s.scope = &scope{vars: map[string]any{
		"messages": list, "bos_token": bos, "eos_token": eos, "add_generation_prompt": addGenerationPrompt,
	}}
	s.out = &strings.Builder{}
	if err := s.run(t.body); err != nil {
		return "", fmt.Errorf("chat template: %w", shorten(err))
	}
	return s.out.String(), nil
}

// shorten keeps an error readable: a template can raise one of any length.
func shorten(err error) error {
	text := err.Error()
	if len(text) <= maxError {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:maxError], "") + " ...")
}
