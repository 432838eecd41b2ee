package chattemplate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string // system, user or assistant; the template decides which roles are allowed
	Content string
}

// Template is a compiled chat template. It is safe for concurrent use.
type Template struct {
	template *jinja.Template
	now      func() time.Time
}

// The bounds of one rendering.
const (
	maxSource  = 256 << 10   // bytes of the template
	maxSteps   = 1_000_000   // operations, plus the size of their operands and results
	stepBytes  = 64          // bytes of a string that count as a step
	stepItems  = 8           // items of a list that count as a step
	maxText    = 16 << 20    // bytes of the output, and of any string
	maxPrinted = 4 * maxText // bytes of the output; the bytes of a macro count twice
	maxItems   = 100_000     // of a list; the bound of a range in Jinja's sandbox
	maxMacros  = 100         // macros within macros
	maxError   = 1000        // bytes of an error's text
)

// Compile reads a template. An error names the line and the mistake or the unsupported feature.
func Compile(source string) (_ *Template, err error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("chat template: %d bytes, the limit is %d", len(source), maxSource)
	}
	tags, err := lex(source)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	code, err := compile(tags)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", shorten(err))
	}
	template, err := guarded(func() (*jinja.Template, error) { return jinja.Compile(code) })
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", shorten(err))
	}
	return &Template{template, time.Now}, nil
}

// Render returns the text of a conversation. bos and eos are the model's tokens for the beginning and the end of a
// text, which the template places; addGenerationPrompt ends the text where the assistant's answer begins. A template
// can refuse a conversation, such as one whose roles do not alternate, with its own error.
func (t *Template) Render(messages []Message, bos, eos string, addGenerationPrompt bool) (string, error) {
	list, size := make([]jinja.Value, len(messages)), 0
	for i, m := range messages {
		size += len(m.Role) + len(m.Content)
		list[i] = jinja.NewDict() // the library would sort the keys of a map
		list[i].AsDict().Set("role", jinja.NewString(m.Role))
		list[i].AsDict().Set("content", jinja.NewString(m.Content))
	}
	r := &run{now: t.now, maxSteps: maxSteps + size, tuples: map[*jinja.List]bool{}, namespaces: map[*jinja.Dict]bool{}}
	values := map[string]jinja.Value{
		"rt": jinja.NewCallable("rt", r.call), "v_messages": jinja.NewList(list), "v_bos_token": jinja.NewString(bos),
		"v_eos_token": jinja.NewString(eos), "v_add_generation_prompt": jinja.NewBool(addGenerationPrompt),
	}
	for _, name := range globals[:callables] {
		values["v_"+name] = jinja.NewCallable(name, nil)
	}
	text, err := guarded(func() (string, error) { return t.template.RenderValues(values) })
	if err != nil {
		return "", fmt.Errorf("chat template: %w", shorten(err))
	}
	return text, nil
}

// guarded turns a panic in the library into an error.
func guarded[T any](f func() (T, error)) (_ T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the library failed: %v", p)
		}
	}()
	return f()
}

// shorten keeps an error readable: a template can raise one of any length.
func shorten(err error) error {
	text := err.Error()
	if len(text) <= maxError {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:maxError], "") + " ...")
}
