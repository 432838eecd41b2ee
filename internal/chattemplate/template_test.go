package chattemplate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/gguf"
)

// golden.json holds what transformers renders: testdata/make_golden.py.
func TestConversationsEqualTransformers(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var cases []struct {
		Template, Conversation, Text, Error string
		Prompt                              bool
		Messages                            []Message
	}
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		name := c.Template + "/" + c.Conversation
		if c.Prompt {
			name += " with the prompt"
		}
		t.Run(name, func(t *testing.T) {
			template, err := Compile(source(t, c.Template))
			require.NoError(t, err)
			got, err := template.Render(c.Messages, "<s>", "</s>", c.Prompt)
			if c.Error != "" {
				require.ErrorContains(t, err, c.Error)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.Text, got)
		})
	}
}

// source returns a template of testdata, or SmolLM2's from its file.
func source(t *testing.T, name string) string {
	t.Helper()
	if name != "smollm2" {
		raw, err := os.ReadFile(filepath.Join("testdata", name+".jinja"))
		require.NoError(t, err)
		return string(raw)
	}
	path := os.Getenv("RETORT_LLM")
	if path == "" {
		t.Skip("RETORT_LLM names no GGUF file; make test-torch sets it")
	}
	f, err := gguf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	text, ok := f.String("tokenizer.chat_template")
	require.True(t, ok)
	return text
}

func render(t *testing.T, source string) (string, error) {
	t.Helper()
	template, err := Compile(source)
	if err != nil {
		return "", err
	}
	template.now = func() time.Time { return time.Date(2026, time.March, 7, 9, 5, 0, 0, time.UTC) }
	return template.Render([]Message{{"user", "hello"}}, "<s>", "</s>", true)
}

func TestTheClock(t *testing.T) {
	got, err := render(t, "{{ strftime_now('%d %b %Y, %A %-d.%-m. %H:%M 100%%') }}")
	require.NoError(t, err)
	require.Equal(t, "07 Mar 2026, Saturday 7.3. 09:05 100%", got)
}

func TestWhatIsNotSupportedIsNamedWithItsLine(t *testing.T) {
	for source, want := range map[string]string{
		"a\n{% include 'x' %}":                          `line 2: the tag "include" is not supported; if, for, set, macro`,
		"{{ messages | xmlattr }}":                      `line 1: the filter "xmlattr" is not supported`,
		"{{ 1 is prime }}":                              `the test "prime" is not supported`,
		"{% for m in messages recursive %}{% endfor %}": "a recursive loop is not supported",
		"{{ f(*messages) }}":                            "arguments with * are not supported",
		"{{ 'a'.zfill(3) }}":                            `string has no member "zfill"`,
		"{{ '%s' % 'a' }}":                              "formatting with % is not supported",
		"{{ strftime_now('%Q') }}":                      "%Q is not supported",
		"\n\n{{ raise_exception('no ' ~ 'system') }}":   "line 3: no system",
		"{{ missing.member }}":                          `line 1: "missing" is undefined`,
		"{{ missing + 1 }}":                             `"missing" is undefined`,
		"{{ messages[0].role() }}":                      "string cannot be called",
		"{{ unknown_function(1) }}":                     `"unknown_function" is undefined`,
		"{{ 'a' + 1 }}":                                 "string and int cannot be joined by +",
		"{{ 1 < 'a' }}":                                 "int and string cannot be compared",
		"{% for m in none %}{% endfor %}":               "none cannot be gone through",
		"{{ 1 // 0 }}":                                  "division by zero",
		"{{":                                            "a tag without }}",
		"{{ 'a }}":                                      "a string without end",
		"{# ":                                           "a comment without end",
		"{% raw %}":                                     "raw without endraw",
		"{% if true %}":                                 "endif is missing",
		"{% endfor %}":                                  `unexpected "endfor"`,
		"{% break %}":                                   "break outside a loop",
		"{{ (1 }}":                                      `unexpected '}'`,
		"{{ 1 2 }}":                                     `unexpected "2", the tag should end here`,
		"{% set x.y = 1 %}":                             "x is no namespace",
		"{% set a, b = [1] %}":                          "1 values for 2 names",
		"{{ 99999999999999999999 }}":                    "is too large",
		"{{ ? }}":                                       "unexpected '?'",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "macros are nested more than 100 deep",
		"\xff": "it is not UTF-8",
		"{{ " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000) + " }}": "nested more than 200 deep",
	} {
		_, err := render(t, source)
		require.ErrorContains(t, err, "chat template: ", source)
		require.ErrorContains(t, err, want, source)
	}
}

// doublings is a template that names a list of the one before twice, n times over.
func doublings(n int, last string) string {
	return "{% set a = ['x'] %}" + strings.Repeat("{% set a = [a, a] %}", n) + last
}

func TestWhatATemplateComputesIsBounded(t *testing.T) {
	nested := "{% set r = range(99999) %}" // what a loop does with a long text, over and over
	for name, c := range map[string]struct{ source, want string }{
		"a long range":    {"{{ range(1000000000) }}", "a range of more than 100000"},
		"a repeated text": {"{{ 'ab' * 1000000000 }}", "the text is longer than"},
		"nested loops": {
			"{% set r = range(100000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
			"steps",
		},
		"a doubled text":          {"{% set ns = namespace(s='abcdefgh') %}{% for a in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "the text is longer than"},
		"a long output":           {"{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "the text is longer than"},
		"a long text, forgotten":  {"{% for a in range(99999) %}{% set b = 'x' * 10000000 %}{% endfor %}", "steps"},
		"replaced nothing":        {"{{ ('a' * 99999).replace('', 'a' * 9999) }}", "the text is longer than"},
		"a doubled list, printed": {doublings(40, "{{ a }}"), "a value is larger than"},
		"a doubled list, unused":  {doublings(40, ""), "a value is larger than"},
		"a doubled list as JSON": {
			doublings(18, "{{ a | tojson }}{{ [a, a, a, a, a, a, a, a] | tojson }}"),
			"a value is larger than",
		},
		"a doubled dict": {
			"{% set a = {} %}" + strings.Repeat("{% set a = {'x': a, 'y': a} %}", 40),
			"a value is larger than",
		},
		"a doubled namespace": {"{% set ns = namespace(a=[]) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}", "a value is larger than"},
		"doubled by dict()": {
			"{% set a = [] %}" + strings.Repeat("{% set a = dict(x=a, y=a) %}", 40),
			"a value is larger than",
		},
		"doubled by a macro": {
			"{% macro m(x) %}{{ [x, x] }}{% endmacro %}{{ m(m(m(m(m('x' * 999999))))) }}",
			"longer than",
		},
		"many names of one text": {"{% set t = 'x' * 9999999 %}{{ [t, t, t, t, t] }}", "a value is larger than"},
		"a list in a list":       {"{% set ns = namespace(a=[]) %}{% for i in range(999) %}{% set ns.a = [ns.a] %}{% endfor %}", "nested more than 200 deep"},
		"compared":               {doublings(18, nested+"{% for i in r %}{% if a == a %}{% endif %}{% endfor %}"), "steps"},
		"looked for": {
			doublings(18, nested+"{% for i in r %}{% if 'y' in a %}{% endif %}{% endfor %}"),
			"steps",
		},
		"tested": {
			doublings(18, nested+"{% for i in r %}{% if a is sameas(a) %}{% endif %}{% endfor %}"),
			"steps",
		},
		"sorted": {"{% set a = ['x' * 9999, 'y'] %}" + nested +
			"{% for i in r %}{% set b = a | sort %}{% endfor %}", "steps"},
		"counted": {"{% set t = 'x' * 9999999 %}" + nested +
			"{% for i in r %}{{ t.count('xy') }}{{ t[0] }}{% endfor %}", "steps"},
		"captured": {"{% set t = 'x' * 9999999 %}" + nested +
			"{% for i in r %}{% set b %}{{ t }}{% endset %}{% endfor %}", "steps"},
		"cut": {
			"{% set t = 'x' * 9999999 %}" + nested + "{% for i in r %}{{ t[5:4] }}{% endfor %}",
			"steps",
		},
		"letters":         {"{% for c in 'x' * 9999999 %}{% endfor %}", "a string of more than 100000 letters"},
		"parts":           {"{{ ('x' * 9999999).split('x') }}", "a list of more than 100000"},
		"lines":           {"{{ ('\\n' * 9999999) | indent }}", "the text is longer than"},
		"indented JSON":   {"{{ [[[1]]] | tojson(indent='x' * 9999999) }}", "an indent of 9999999 bytes"},
		"a long error":    {"{{ raise_exception('x' * 9999999) }}", " ..."},
		"a long template": {strings.Repeat("x", 300<<10), "307200 bytes, the limit is 262144"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := render(t, c.source)
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, c.want)
			require.Less(t, len(err.Error()), 2000)
			require.Less(t, time.Since(start), 20*time.Second)
			require.Less(t, int64(after.HeapSys)-int64(before.HeapSys), int64(1<<30))
		})
	}
}

func TestALongMessageIsRenderedByATemplateThatReadsItOften(t *testing.T) {
	template, err := Compile(source(t, "qwen"))
	require.NoError(t, err)
	long := strings.Repeat("A passage without an end. ", 400_000)
	got, err := template.Render([]Message{{"system", "s"}, {"user", long}}, "<s>", "</s>", true)
	require.NoError(t, err)
	require.Contains(t, got, strings.TrimSpace(long))
}

func TestAFilterThatNoPromptReachesIsNoError(t *testing.T) { // as in Jinja 3
	const branch = "{% if tools %}{{ tools | xmlattr }}{% endif %}ok"
	got, err := render(t, branch)
	require.NoError(t, err)
	require.Equal(t, "ok", got)
	_, err = render(t, "{% set tools = [1] %}"+branch)
	require.ErrorContains(t, err, `line 1: the filter "xmlattr" is not supported`)
}

// What Jinja 3.1.6 renders.
func TestDictsort(t *testing.T) {
	got, err := render(t, "{% set d = {'b': 1, 'C': 3, 'a': 2} %}{{ d | dictsort }} {{ d | dictsort(true) }} "+
		"{{ d | dictsort(by='value', reverse=true) }}")
	require.NoError(t, err)
	require.Equal(t, "[('a', 2), ('b', 1), ('C', 3)] [('C', 3), ('a', 2), ('b', 1)] [('C', 3), ('a', 2), ('b', 1)]",
		strings.NewReplacer("['", "('", "], ", "), ", "]]", ")]", "[[", "[(").Replace(got))
}

// FuzzRender: no template makes Compile or Render panic or run without end.
func FuzzRender(f *testing.F) {
	files, err := filepath.Glob("testdata/*.jinja")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(raw))
	}
	f.Add("{%- raw -%} {{ }} {%- endraw +%}\n{#- x -#}{{ [1, 2][::-1] | sort | join('-') }}{{ 'a' if 0 }}{{ -1 ** 2 }}")
	f.Fuzz(func(t *testing.T, source string) {
		template, err := Compile(source)
		if err != nil {
			return
		}
		_, _ = template.Render([]Message{{"system", "s"}, {"user", "u"}}, "<s>", "</s>", true)
	})
}
