package modelcard_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/modelcard"
)

// hostile are names that would end the front matter, make HTML, links or tables, or hide text.
var hostile = []string{
	"a\n---\nlicense: mit\n", "\"\nbase_model: evil/x\n\"", "<script>alert(1)</script>", "<!-- hidden",
	"![x](https://evil.example/a.png)",
	"[a](javascript:alert(1))", "https://evil.example", "www.evil.example", "me@evil.example", "a | b",
	"`code` *bold* _it_ ~~no~~ $x$",
	"# heading", "- item", "1. item", "+ item", "&lt;b&gt;", "\x00\x1b[31mred", "\u202egnp.exe", "\u0085\u2028next",
	"\xff\xfe", "C:\\models\\x",
	strings.Repeat("long ", 1000),
}

func page(text string) modelcard.Page {
	return modelcard.Page{
		BaseModel: text, Pipeline: "sentence-similarity", Tags: []string{"retort", text}, Title: text, Summary: text,
		Sections: []modelcard.Section{{
			Heading: "Model", Text: text, Facts: [][2]string{{text, text}}, Table: [][]string{{"a", "b"}, {text, text}},
			Code: "print(1)", Lang: "python",
		}},
	}
}

// frontMatter is what stands between the two lines of dashes.
func frontMatter(t testing.TB, card []byte) (matter map[string]any, body string) {
	t.Helper()
	parts := strings.SplitN(string(card), "---\n", 3)
	require.Len(t, parts, 3)
	require.Empty(t, parts[0])
	require.NoError(t, yaml.Unmarshal([]byte(parts[1]), &matter), parts[1])
	return matter, parts[2]
}

func TestACardIsReadAsItWasMeant(t *testing.T) {
	card := modelcard.Page{
		BaseModel: "org/all-MiniLM-L6-v2", Pipeline: "sentence-similarity", Tags: []string{"retort"}, Title: "A title",
		Summary: "A summary.",
		Sections: []modelcard.Section{
			{Heading: "Facts", Facts: [][2]string{{"Corpus", "3 passages"}, {"Rate", "0.0001"}, {"Prompt", `"query: "`}}},
			{Heading: "Figures", Table: [][]string{{"measure", "gain"}, {"MRR", "+0.1"}}},
		},
	}.Render()
	require.Equal(t, `---
base_model: "org/all-MiniLM-L6-v2"
library_name: sentence-transformers
pipeline_tag: "sentence-similarity"
tags:
- "retort"
---

# A title

A summary.

## Facts

- Corpus: 3 passages
- Rate: 0.0001
- Prompt: "query: "

## Figures

| measure | gain |
|---|---:|
| MRR | +0.1 |
`, string(card))
}

func TestOnlyNamesOfTheHubAreNamedAsBaseModel(t *testing.T) {
	for name, ok := range map[string]bool{
		"all-MiniLM-L6-v2": true, "org/name_1.5": true, "": false, "a/b/c": false, "a b": false, "../x": false, "a--b": false,
		"ä": false, "-a": false,
	} {
		matter, _ := frontMatter(t, modelcard.Page{BaseModel: name}.Render())
		require.Equal(t, ok, matter["base_model"] == name, name)
		require.Equal(t, ok, matter["base_model"] != nil, name)
	}
}

var (
	unescaped = regexp.MustCompile("(^|[^\\\\])[`*_\\[\\]()<>#!~&$@]")
	controls  = regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f-\x{9f}\x{202e}\x{2028}]`)
)

func requireHarmless(t testing.TB, text string) {
	card := page(text).Render()
	matter, body := frontMatter(t, card)
	for key := range matter {
		require.Contains(t, []string{"base_model", "library_name", "pipeline_tag", "tags"}, key)
	}
	require.Len(t, matter["tags"], 2)
	require.NotRegexp(t, controls, string(card))
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if !strings.Contains(body, "- : \n") { // nothing of the text can be shown
		require.Len(t, lines, 17, "a text began a line of its own: %q", body)
	}
	for i, line := range lines {
		if i >= len(lines)-4 { // the code, which is the package's caller's
			break
		}
		line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "#"), "#"), "- ")
		require.NotRegexp(t, unescaped, strings.ReplaceAll(line, `\\`, ""), line)
		require.NotRegexp(t, `(^|[^\\])://`, line)
	}
}

func TestNoNameBecomesMarkdownHTMLOrFrontMatter(t *testing.T) {
	for _, text := range hostile {
		requireHarmless(t, text)
	}
}

func FuzzRender(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { requireHarmless(t, text) })
}

// The reference is markdown-it-py with GitHub's links, which shows each text as it is, and huggingface_hub's reader of
// cards.
func TestPythonReadsTheCard(t *testing.T) {
	python := os.Getenv("RETORT_PYTHON")
	if python == "" {
		t.Skip("set RETORT_PYTHON to a Python that has sentence-transformers")
	}
	dir := t.TempDir()
	for i, text := range hostile {
		require.NoError(t, os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".md"), page(text).Render(), 0o644))
	}
	out, err := exec.Command(python, "-B", "testdata/check_card.py", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	var read map[string]int
	require.NoError(t, json.Unmarshal(out, &read), "%s", out)
	require.Equal(t, map[string]int{"cards": len(hostile)}, read)
}
