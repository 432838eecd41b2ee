// Package modelcard writes model cards: README.md of a model folder, whose YAML front matter the Hugging Face Hub and
// sentence-transformers read. Names and values come from users' files. All text is escaped, so that it cannot end the
// front matter, open an HTML tag, or become Markdown.
//
// Reference: https://huggingface.co/docs/hub/model-cards
package modelcard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Page is a model card.
type Page struct {
	BaseModel string // for the front matter; omitted if it is not a valid name on the Hub
	Pipeline  string // pipeline_tag
	Tags      []string
	Title     string
	Summary   string
	Sections  []Section
}

// Section is a part of the page with its own heading. Empty fields are omitted.
type Section struct {
	Heading string
	Text    string
	Facts   [][2]string // a list: name, value
	Table   [][]string  // its first row is the header; the first column is text, the others are figures
	Code    string      // not escaped: it comes from the calling package, never from a user
	Lang    string      // of Code
}

// Render returns the page.
func (p Page) Render() []byte {
	var b bytes.Buffer
	p.frontMatter(&b)
	fmt.Fprintf(&b, "\n# %s\n", escape(p.Title))
	if p.Summary != "" {
		fmt.Fprintf(&b, "\n%s\n", escape(p.Summary))
	}
	for _, s := range p.Sections {
		s.render(&b)
	}
	return b.Bytes()
}

func (p Page) frontMatter(b *bytes.Buffer) {
	b.WriteString("---\n")
	if isHubName(p.BaseModel) {
		fmt.Fprintf(b, "base_model: %s\n", quote(p.BaseModel))
	}
	fmt.Fprintf(b, "library_name: sentence-transformers\npipeline_tag: %s\ntags:\n", quote(p.Pipeline))
	for _, tag := range p.Tags {
		fmt.Fprintf(b, "- %s\n", quote(tag))
	}
	b.WriteString("---\n")
}

func (s Section) render(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n", escape(s.Heading))
	if s.Text != "" {
		fmt.Fprintf(b, "\n%s\n", escape(s.Text))
	}
	if len(s.Facts) > 0 {
		b.WriteByte('\n')
	}
	for _, f := range s.Facts {
		fmt.Fprintf(b, "- %s: %s\n", escape(f[0]), escape(f[1]))
	}
	for i, row := range s.Table {
		if i == 0 {
			b.WriteByte('\n')
		}
		for _, cell := range row {
			fmt.Fprintf(b, "| %s ", escape(cell))
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|---:", len(row)-1) + "|\n")
		}
	}
	if s.Code != "" {
		fmt.Fprintf(b, "\n```%s\n%s\n```\n", s.Lang, strings.TrimSpace(s.Code))
	}
}

// hubName matches the id of a model on the Hub: a name, or an organisation and a name.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$`)

// isHubName says whether a name can be the id of a model. The Hub forbids two dashes or two dots in a row.
func isHubName(name string) bool {
	return hubName.MatchString(name) && !strings.Contains(name, "--") && !strings.Contains(name, "..")
}

// quote returns a string in JSON, which is valid YAML.
func quote(text string) string {
	raw, err := json.Marshal(line(text))
	if err != nil {
		return `""` // no string makes an error
	}
	return string(raw)
}

// mostLength bounds a text, in characters.
const mostLength = 500

// line puts a text on one line and drops characters that are not printable.
func line(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	text = strings.Join(strings.Fields(text), " ")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > mostLength {
		text = string(runes[:mostLength]) + " ..."
	}
	return text
}

// escape returns Markdown that shows the text unchanged. CommonMark reads a backslash before ASCII punctuation as an
// escape. GitHub's flavour makes links of "://", "www." and "@"; lists and rules begin with "-", "=", "+" or a number.
func escape(text string) string {
	text = line(text)
	var b strings.Builder
	for i, r := range text {
		after := text[i+utf8.RuneLen(r):]
		endsWord := after == "" || after[0] == ' '
		switch {
		case strings.ContainsRune("\\`*_{}[]()<>#!|~&$@", r),
			r == ':' && strings.HasPrefix(after, "//"),
			r == '.' && strings.HasSuffix(strings.ToLower(text[:i]), "www"),
			r == '.' && endsWord && isNumber(text[:i]),
			i == 0 && (r == '-' || r == '=' || r == '+' && endsWord):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
