package causallm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/chattemplate"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// text turns prompts into tokens and tokens into text.
type text struct {
	tokenizer        *tokenizer.Tokenizer
	bos              int32 // what a raw prompt begins with; -1 is nothing
	ends             map[int32]bool
	bosText, eosText string // for the template
	source           string // of the template
	template         *chattemplate.Template
	templateErr      error
}

// setTemplate keeps what is wrong with a template for the model that is asked by it.
func (t *text) setTemplate(source, where string) {
	if source == "" {
		return
	}
	t.source = source
	var err error
	if t.template, err = chattemplate.Compile(source); err != nil {
		t.templateErr = fmt.Errorf("%s: %w", where, err)
	}
}

func (t *text) fingerprint() string {
	return fmt.Sprintf("%s %d %x", t.tokenizer.Fingerprint(), t.bos, sha256.Sum256([]byte(t.source)))
}

// encode returns the tokens of a raw text, with the token that the model's texts begin with.
func (t *text) encode(raw string) ([]int32, error) {
	ids, err := t.tokenizer.Encode(raw)
	if err == nil && t.bos >= 0 {
		ids = slices.Insert(ids, 0, t.bos)
	}
	return ids, err
}

// prompt is what a model reads.
type prompt struct {
	ids    []int32
	shared int  // so many of them belong to a part that other prompts have too; less than all
	cut    bool // the passage's end is missing
}

// prompt returns the tokens of a request, at most context less those that it wants to be written.
func (t *text) prompt(r generate.Request, chat bool, context int) (prompt, error) {
	if r.MaxTokens < 1 {
		return prompt{}, fmt.Errorf("causallm: Request.MaxTokens is %d, want it >= 1", r.MaxTokens)
	}
	if !(r.Temperature >= 0) {
		return prompt{}, fmt.Errorf("causallm: Request.Temperature is %v, want it >= 0", r.Temperature)
	}
	read := t.rawParts
	if chat {
		read = t.chatParts
	}
	p, err := read(r.Prompt)
	if err != nil {
		return prompt{}, fmt.Errorf("causallm: prompt %q: %w", r.Prompt.Name, err)
	}
	return p.fit(context - r.MaxTokens)
}

// parts are the tokens of a prompt, and how to make it shorter.
type parts struct {
	whole  []int32
	before []int32 // of the part that is shared
	// pieces returns the tokens up to the passage's end and those behind it.
	pieces func() (head, tail []int32, err error)
}

// rawParts takes the last line of the prompt's own part for what follows the passage: the label of the query.
func (t *text) rawParts(p generate.Prompt) (parts, error) {
	whole, err := t.encode(p.Text())
	if err != nil {
		return parts{}, err
	}
	before, err := t.encode(p.Prefix)
	return parts{whole: whole, before: before, pieces: func() (head, tail []int32, err error) {
		i := max(0, strings.LastIndex(p.Own, "\n"))
		if head, err = t.encode(p.Prefix + p.Own[:i]); err != nil {
			return nil, nil, err
		}
		tail, err = t.tokenizer.Encode(p.Own[i:])
		return head, tail, err
	}}, err
}

func (t *text) chatParts(p generate.Prompt) (parts, error) {
	if len(p.Messages) == 0 {
		return parts{}, errors.New("it has no messages")
	}
	messages := make([]chattemplate.Message, len(p.Messages))
	for i, m := range p.Messages {
		messages[i] = chattemplate.Message{Role: m.Role, Content: m.Content}
	}
	rendered, err := t.template.Render(messages, t.bosText, t.eosText, true)
	if err != nil {
		return parts{}, fmt.Errorf("%w; without Options.Chat (-llm-api completions) the model is asked without its template", err)
	}
	content := strings.TrimSpace(messages[len(messages)-1].Content) // many templates trim
	opening := strings.TrimSpace(p.Opening)
	at := strings.LastIndex(rendered, content)
	if at < 0 || !strings.HasPrefix(content, opening) {
		return parts{}, errors.New("the chat template changes its last message, so that the passage is not found again")
	}
	before, passage, after := rendered[:at]+opening, content[len(opening):], rendered[at+len(content):]
	return t.joinChat(before, passage, after)
}

// joinChat encodes a chat in which special tokens count outside of the passage only.
func (t *text) joinChat(before, passage, after string) (parts, error) {
	k := t.tokenizer
	plain, err := k.Encode(passage)
	if err != nil {
		return parts{}, err
	}
	special, err := k.EncodeWithSpecials(passage)
	if err != nil {
		return parts{}, err
	}
	var p parts
	if p.before, err = k.EncodeWithSpecials(before); err != nil {
		return parts{}, err
	}
	p.pieces = func() (head, tail []int32, err error) {
		tail, err = k.EncodeWithSpecials(after)
		return slices.Concat(p.before, plain), tail, err
	}
	if slices.Equal(plain, special) {
		p.whole, err = k.EncodeWithSpecials(before + passage + after)
		return p, err
	}
	head, tail, err := p.pieces()
	p.whole = slices.Concat(head, tail)
	return p, err
}

// fit cuts the passage's end where the tokens are more than room.
func (p parts) fit(room int) (prompt, error) {
	out := prompt{ids: p.whole}
	if len(p.whole) == 0 {
		return prompt{}, fmt.Errorf("causallm: the prompt is empty")
	}
	if len(p.whole) > room {
		head, tail, err := p.pieces()
		if err != nil {
			return prompt{}, fmt.Errorf("causallm: %w", err)
		}
		rest := room - len(tail)
		if rest <= commonPrefix(p.before, head) {
			return prompt{},
				fmt.Errorf("causallm: the prompt takes %d tokens without its passage, and there is room for %d beside the answer: "+
					"raise Options.ContextLength or ask for fewer tokens", commonPrefix(p.before, head)+len(tail), max(0, room))
		}
		out.ids, out.cut = slices.Concat(head[:min(rest, len(head))], tail), true
	}
	out.shared = min(commonPrefix(p.before, out.ids), len(out.ids)-1)
	return out, nil
}

func commonPrefix(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// specialToken is a token's text, alone or in an object.
type specialToken string

func (t *specialToken) UnmarshalJSON(raw []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if err := strictjson.Unmarshal(raw, &object); err == nil {
		*t = specialToken(object.Content)
		return nil
	}
	return strictjson.Unmarshal(raw, (*string)(t))
}

// chatTemplates is one template, or several with names, of which "default" is taken.
type chatTemplates string

func (t *chatTemplates) UnmarshalJSON(raw []byte) error {
	var named []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if err := strictjson.Unmarshal(raw, &named); err != nil {
		return strictjson.Unmarshal(raw, (*string)(t))
	}
	for _, n := range named {
		if n.Name == "default" {
			*t = chatTemplates(n.Template)
		}
	}
	return nil
}
