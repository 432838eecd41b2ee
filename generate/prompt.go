package generate

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/language"
)

// Prompt asks a model for one query of one passage, in two forms that say the same: raw text for it to go on with, and
// messages for a chat model.
//
// Each type of query has a few fixed prompts. Those of one Name differ in the passage only, and that stands last, so
// that whatever a model computes for the part before it serves all passages.
type Prompt struct {
	// Name says which of the fixed prompts it is: "question/3".
	Name string `json:"name"`

	// Prefix is the raw form's shared part: the instruction, the examples and the word before the passage. It ends in a
	// colon and Own begins with a space and a letter or sign, a place where the tokenizers of GPT-2, Llama and Qwen
	// always begin a token: the tokens of both parts are the tokens of the whole.
	Prefix string `json:"prefix"`
	// Own is the raw form's rest: the passage on one line, a line break and the label of the query.
	Own string `json:"own"`

	// Messages are the chat form, by turns the user's and the assistant's, with the examples as earlier turns. There is
	// no system message, since not every model's template knows one. All but the last are shared.
	Messages []Message `json:"messages"`
	// Opening is what the last message begins with, shared too; behind it are a space and the passage.
	Opening string `json:"opening"`
}

// Text returns the raw form: Prefix and Own.
func (p Prompt) Text() string { return p.Prefix + p.Own }

// Message is a turn of a chat.
type Message struct {
	Role    string `json:"role"` // RoleUser or RoleAssistant
	Content string `json:"content"`
}

// The roles of a prompt's messages, as every chat template and server calls them.
const (
	RoleUser      = "user"
	RoleAssistant = "assistant"
)

const (
	promptsPerType    = 8
	examplesPerPrompt = 3
	passageLabel      = "Passage:"
)

// fixedPrompt is a prompt without its passage.
type fixedPrompt struct {
	Prompt   // Own and the last message are missing
	label    string
	examples []Example
}

// fixedPrompts returns the prompts of a type, which depend on the seed and the type only.
func fixedPrompts(t QueryType, seed uint64, maxWords int) []fixedPrompt {
	prompts := make([]fixedPrompt, promptsPerType)
	for i := range prompts {
		name := fmt.Sprintf("%s/%d", t.Name, i)
		instruction := strings.ReplaceAll(strings.TrimSpace(t.Instructions[i%len(t.Instructions)]), wordsMark,
			fmt.Sprint(maxWords))
		prompts[i] = newFixedPrompt(name, instruction, t.Label, drawExamples(t.Examples, seed, name))
	}
	return prompts
}

// drawExamples draws from different fields as long as there are any left.
func drawExamples(examples []Example, seed uint64, name string) []Example {
	rng := random(seed, "examples", name)
	shuffled := slices.Clone(examples)
	rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	var drawn, others []Example
	fields := map[string]bool{}
	for _, e := range shuffled {
		if fields[e.Field] {
			others = append(others, e)
			continue
		}
		fields[e.Field] = true
		drawn = append(drawn, e)
	}
	drawn = append(drawn, others...)
	return drawn[:min(examplesPerPrompt, len(drawn))]
}

func newFixedPrompt(name, instruction, label string, examples []Example) fixedPrompt {
	f := fixedPrompt{Prompt: Prompt{Name: name}, label: label, examples: examples}
	var raw strings.Builder
	raw.WriteString(instruction + "\n\n")
	opening := instruction + "\n\n" + passageLabel
	for _, e := range examples {
		passage, query := oneLine(e.Passage), strings.TrimSpace(e.Query)
		fmt.Fprintf(&raw, "%s %s\n%s: %s\n\n", passageLabel, passage, label, query)
		f.Messages = append(f.Messages, Message{RoleUser, opening + " " + passage}, Message{RoleAssistant, query})
		opening = passageLabel
	}
	raw.WriteString(passageLabel)
	f.Prefix, f.Opening = raw.String(), opening
	return f
}

// of returns the prompt for a passage, given on one line. It asks for a query in the language that foreign names, the
// passage's foreignLanguage: the instruction and the examples are English, and small models would answer in English too.
func (f fixedPrompt) of(passage, foreign string) Prompt {
	p := f.Prompt
	label, last := f.label, f.Opening+" "+passage
	if foreign != "" {
		label += " in " + foreign
		last += "\n\nAnswer in " + foreign + "."
	}
	p.Own = " " + passage + "\n" + label + ":"
	p.Messages = append(slices.Clone(f.Messages), Message{RoleUser, last})
	return p
}

// foreignLanguage returns the name of a passage's language, "" if that is English or not certain. Few Latin words are
// not certain: names and code have stop words of many languages.
func foreignLanguage(passage string) string {
	const certain = 20
	name, _ := language.Of(passage)
	if name == "" || name == language.English || language.WritesLatin(name) && len(strings.Fields(passage)) < certain {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// shown returns what a model reads of a passage: on one line, since a line break ends a passage of a raw prompt, and
// cut behind the last word that ends within maxChars characters.
func shown(p retort.Passage, maxChars int) string {
	text := oneLine(p.Content())
	if utf8.RuneCountInString(text) <= maxChars {
		return text
	}
	runes := []rune(text)
	if !unicode.IsSpace(runes[maxChars]) {
		if end := lastSpace(runes[:maxChars]); end > 0 {
			return string(runes[:end])
		}
	}
	return strings.TrimSpace(string(runes[:maxChars]))
}

// lastSpace returns where the word that a cut goes through begins, 0 where that is no word but a script without spaces.
func lastSpace(runes []rune) int {
	const longestWord = 40
	for i := len(runes) - 1; i > 0 && i >= len(runes)-longestWord; i-- {
		if unicode.IsSpace(runes[i]) {
			return i
		}
	}
	return 0
}

// oneLine joins the words of a text with single spaces; control characters and broken UTF-8 count as spaces.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, " "), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}
