package generate

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

func prompted(t testing.TB, model Completer, o PromptOptions) *Prompted {
	t.Helper()
	g, err := NewPrompted(model, o)
	require.NoError(t, err)
	return g
}

func promptFor(t testing.TB, g *Prompted, p retort.Passage, queryType string) Prompt {
	t.Helper()
	prompt, err := g.Prompt(p, queryType)
	require.NoError(t, err)
	return prompt
}

// allTypes are the names of the built-in types.
func allTypes() []string { return namesOf(builtInTypes()) }

// Every letter of what a model is asked, in both forms, for one passage.
func TestPromptsOfOnePassage(t *testing.T) {
	g := prompted(t, &fake{}, PromptOptions{Seed: 1})
	var b strings.Builder
	for _, queryType := range allTypes() {
		p := promptFor(t, g, articles[0], queryType)
		fmt.Fprintf(&b, "=== %s, raw\n%s|%s\n", p.Name, p.Prefix, p.Own)
		for i, m := range p.Messages {
			fmt.Fprintf(&b, "--- %s %d, %s\n%s\n", p.Name, i, m.Role, m.Content)
		}
	}
	path := filepath.Join("testdata", "prompts.golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func TestPassagesShareEightPromptsOfEachType(t *testing.T) {
	g := prompted(t, &fake{}, PromptOptions{})
	for _, queryType := range allTypes() {
		first := map[string]Prompt{}
		prefixes := map[string]bool{}
		for i := range 200 {
			passage := retort.Passage{ID: fmt.Sprint(i), Text: fmt.Sprintf("(The text) of passage %d.", i)}
			p := promptFor(t, g, passage, queryType)
			last := len(p.Messages) - 1
			if _, ok := first[p.Name]; !ok {
				first[p.Name] = p
			}
			shared := first[p.Name]
			require.Equal(t, shared.Prefix, p.Prefix)
			require.Equal(t, shared.Opening, p.Opening)
			require.Equal(t, shared.Messages[:last], p.Messages[:last])
			require.Equal(t, Message{RoleUser, p.Opening + " " + passage.Text}, p.Messages[last])
			require.Equal(t, p.Prefix+p.Own, p.Text())
			require.True(t, strings.HasSuffix(p.Prefix, "Passage:"))
			require.Regexp(t, `^ \(The text\) of passage \d+\.\n\w+:$`, p.Own)
			require.NotContains(t, p.Prefix, passage.Text)
			prefixes[p.Prefix] = true
		}
		require.Len(t, first, 8, queryType)
		require.Len(t, prefixes, 8, queryType)
	}
}

func TestPromptsShowThreeExamplesOfDifferentFieldsAsTurns(t *testing.T) {
	types, err := QueryTypes()
	require.NoError(t, err)
	for _, queryType := range types {
		for _, p := range fixedPrompts(queryType, 7, 20) {
			if queryType.Name == TypeZeroShot {
				require.Empty(t, p.examples)
				require.Empty(t, p.Messages)
				continue
			}
			require.Len(t, p.examples, 3)
			require.Len(t, p.Messages, 6)
			fields := map[string]bool{}
			for i, e := range p.examples {
				fields[e.Field] = true
				require.Contains(t, p.Prefix, fmt.Sprintf("Passage: %s\n%s: %s\n\n", e.Passage, queryType.Label, e.Query))
				require.Equal(t, RoleUser, p.Messages[2*i].Role)
				require.True(t, strings.HasSuffix(p.Messages[2*i].Content, "Passage: "+e.Passage))
				require.Equal(t, Message{RoleAssistant, e.Query}, p.Messages[2*i+1])
			}
			require.Len(t, fields, 3)
		}
	}
}

func TestBuiltInTypesHaveADozenExamplesOfSixFields(t *testing.T) {
	for _, queryType := range builtInTypes() {
		require.NoError(t, queryType.validate())
		if queryType.Name == TypeZeroShot {
			require.Len(t, queryType.Instructions, promptsPerType)
			continue
		}
		fields := map[string]bool{}
		for _, e := range queryType.Examples {
			fields[e.Field] = true
		}
		require.GreaterOrEqual(t, len(queryType.Examples), 12)
		require.GreaterOrEqual(t, len(fields), 6)
	}
}

func TestQueryTypesByName(t *testing.T) {
	types, err := QueryTypes(TypeClaim, TypeQuestion)
	require.NoError(t, err)
	require.Equal(t, []string{"claim", "question"}, namesOf(types))
	_, err = QueryTypes("clam")
	require.ErrorContains(t, err, `no query type "clam", only question, claim, title, keywords, msmarco, zero-shot`)
}

func TestPromptsDependOnTheSeed(t *testing.T) {
	names := func(seed uint64) (names []string, prefixes []string) {
		g := prompted(t, &fake{}, PromptOptions{Seed: seed})
		for i := range 20 {
			p := promptFor(t, g, retort.Passage{ID: fmt.Sprint(i), Text: "Some text or other."}, TypeQuestion)
			names, prefixes = append(names, p.Name), append(prefixes, p.Prefix)
		}
		return names, prefixes
	}
	names1, prefixes1 := names(1)
	again, _ := names(1)
	names2, prefixes2 := names(2)
	require.Equal(t, names1, again)
	require.NotEqual(t, names1, names2)
	require.NotEqual(t, prefixes1, prefixes2)
}

func TestInstructionsNameTheLimit(t *testing.T) {
	p := promptFor(t, prompted(t, &fake{}, PromptOptions{MaxWords: 12}), articles[0], TypeQuestion)
	require.Contains(t, p.Prefix, "at most 12 of them")
}

func TestPassagesAreShownOnOneLineAndCutAtAWord(t *testing.T) {
	for _, c := range []struct {
		name, title, text, want string
	}{
		{"title and lines", "Title", "one\n\n  two\tthree", "Title one two three"},
		{"short", "", "twenty characters or", "twenty characters or"},
		{"in a word", "", "twenty characters overflow", "twenty characters"},
		{"behind a word", "", "twenty characters or more", "twenty characters or"},
		{"no spaces", "", strings.Repeat("冬", 30), strings.Repeat("冬", 20)},
		{"broken", "", "a\xffb\x00c", "a b c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, shown(retort.Passage{Title: c.title, Text: c.text}, 20))
		})
	}
	long := promptFor(t, prompted(t, &fake{}, PromptOptions{}), retort.Passage{ID: "x", Text: strings.Repeat("word ", 1000)}, TypeClaim)
	require.Equal(t, strings.Repeat(" word", 409)+"\nClaim:", long.Own, "whole words within 2,048 characters")
}

func TestAPromptNamesTheLanguageOfThePassage(t *testing.T) {
	g := prompted(t, &fake{}, PromptOptions{})
	long := "Die Pumpe fördert das Wasser aus dem Keller in den Kanal, und wenn der Filter verstopft ist, muss man ihn mit " +
		"klarem Wasser spülen und danach wieder fest in das Gehäuse schrauben."
	for _, c := range []struct{ text, label, last string }{
		{"The pump lifts the water out of the cellar, and the filter has to be rinsed.", "Question:", ""},
		{long, "Question in German:", "\n\nAnswer in German."},
		{"Die Pumpe und der Filter", "Question:", ""}, // too short to be certain
		{"水泵把地下室的水抽到下水道里。", "Question in Chinese:", "\n\nAnswer in Chinese."},
	} {
		p := promptFor(t, g, retort.Passage{ID: "p", Text: c.text}, "question")
		require.Equal(t, " "+c.text+"\n"+c.label, p.Own)
		require.Equal(t, p.Opening+" "+c.text+c.last, p.Messages[len(p.Messages)-1].Content)
	}
}
