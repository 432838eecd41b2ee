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

// differential.json holds random templates as transformers renders them: testdata/make_differential.py. A template is
// rendered so or not at all.
func TestRandomTemplatesAreRenderedAsByTransformersOrRefused(t *testing.T) {
	path := "testdata/differential.json"
	if other := os.Getenv("RETORT_DIFFERENTIAL"); other != "" {
		path = other
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var cases []struct {
		Source, Text, Error string
		Prompt              bool
		Messages            []Message
	}
	require.NoError(t, json.Unmarshal(raw, &cases))
	same, valid := 0, 0
	for _, c := range cases {
		var got string
		template, err := Compile(c.Source)
		if err == nil {
			got, err = template.Render(c.Messages, "<s>", "</s>", c.Prompt)
		}
		if c.Error == "" {
			valid++
		}
		if err == nil {
			same++
			require.Empty(t, c.Error, c.Source)
			require.Equal(t, c.Text, got, c.Source)
		}
	}
	t.Logf("%d of %d valid templates are rendered", same, valid)
	require.Greater(t, same*2, valid)
}

func TestWhatIsNotSupportedIsNamedWithItsLine(t *testing.T) {
	for source, want := range map[string]string{
		"a\n{% include 'x' %}":                                `line 2: the tag "include" is not supported`,
		"{% import 'x' as y %}":                               `the tag "import" is not supported`,
		"{% call f() %}{% endcall %}":                         `the tag "call" is not supported`,
		"{{ messages | xmlattr }}":                            `line 1: the filter "xmlattr" with 0 arguments is not supported`,
		"{{ messages | tojson(indent=2) }}":                   `the filter "tojson" with 1 arguments is not supported`,
		"{{ 1 is prime }}":                                    `the test "prime" with 0 arguments is not supported`,
		"{% for m in messages recursive %}{% endfor %}":       "a recursive loop, or one with over two names, is not supported",
		"{{ f(*messages) }}":                                  "arguments with * are not supported",
		"{{ 'a'.zfill(3) }}":                                  `the method "zfill" with 1 arguments is not supported`,
		"{{ messages.append(1) }}":                            `the method "append"`,
		"{{ '%s' % 'a' }}":                                    "% of a string and a string is not supported",
		"{{ strftime_now('%Q') }}":                            "strftime_now with %Q is not supported",
		"{{ strftime_now(1) }}":                               "strftime_now without a format",
		"\n\n{{ raise_exception('no ' ~ 'system') }}":         "line 3: no system",
		"{{ missing.member }}":                                "line 1: the member member of an undefined value is not supported",
		"{{ missing + 1 }}":                                   "+ of an undefined value and an integer is not supported",
		"{{ messages[0].items }}":                             "the member items of a dict is not supported",
		"{{ messages[0]['items'] }}":                          `item of a dict and "items" is not supported`,
		"{{ messages[0].role() }}":                            `the method "role" with 0 arguments is not supported`,
		"{{ unknown_function(1) }}":                           "the function unknown_function with these arguments is not supported",
		"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}":         "the macro m with 2 arguments is not supported",
		"{% macro m(a) %}{% endmacro %}{{ m(b=2) }}":          "the macro m with the argument b is not supported",
		"{{ 'a' + 1 }}":                                       "+ of a string and an integer is not supported",
		"{{ 1 < 'a' }}":                                       "< of an integer and a string is not supported",
		"{{ '10' < '9' }}":                                    "< of a string and a string is not supported",
		"{{ -7 // 2 }}":                                       "// of an integer below 0 and an integer is not supported",
		"{{ 1 // 0 }}":                                        "// of an integer and zero is not supported",
		"{{ 1 < 2 < 3 }}":                                     "a chain of comparisons is not supported",
		"{{ messages }}":                                      "printing a list, a dict, a float or a function is not supported",
		"{{ 'straße' | upper }}":                              "upper of letters beyond ASCII is not supported",
		"{% for m in none %}{% endfor %}":                     "a loop through none is not supported",
		"{% for a, b in messages %}{% endfor %}":              "a loop with two names through other than pairs is not supported",
		"{% set x = messages | map(attribute='role') %}":      "map other than in a loop or before the filter list is not supported",
		"{{ loop.index }}":                                    "the variable loop other than as loop.index and so on is not supported",
		"{% for m in messages %}{{ loop.depth }}{% endfor %}": "loop.depth is not supported",
		"{% set x = {} %}{% set x.y = 1 %}":                   "setting a member of a value other than a namespace is not supported",
		"{% set a, b = [1] %}":                                `a set with "," is not supported`,
		"{% set range = 1 %}":                                 "setting range is not supported",
		"{%%}":                                                "an empty tag",
		"{{":                                                  "a tag without end",
		"{{ 'a }}":                                            "a string without end",
		"{# ":                                                 "a comment without end",
		"{% raw %}":                                           "raw without endraw",
		"{% if true %}":                                       "endif is missing",
		"{% endfor %}":                                        `unexpected "endfor"`,
		"{% break %}":                                         "break outside a loop",
		"{{ (1 }}":                                            `unexpected '}'`,
		"{{ 1 2 }}":                                           `unexpected "2", the tag should end here`,
		"{{ 99999999999999999999 }}":                          "the number 99999999999999999999 is not supported",
		"{{ 1.5 }}":                                           "the number 1 is not supported",
		"{{ ? }}":                                             "unexpected '?'",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}":     "macros are nested more than 100 deep",
		"{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}": "macros are nested more than 100 deep",
		"\xff": "the template is not UTF-8",
		"{{ " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000) + " }}": "nested more than 200 deep",
		strings.Repeat("{% if true %}", 5000):                                       "nested more than 200 deep",
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
	const (
		long = "{% set t = 'x' * 9999999 %}" // what a loop does with a long text, over and over
		loop = "{% for i in range(99999) %}"
		end  = "{% endfor %}"
	)
	for name, c := range map[string]struct{ source, want string }{
		"a long range":           {"{{ range(1000000000) | list }}", "a list of more than 100000 items"},
		"a falling range":        {"{{ range(1000000000, -1000000000, -1) | list }}", "a list of more than 100000 items"},
		"a repeated text":        {"{{ 'ab' * 1000000000 }}", "the text is longer than"},
		"nested loops":           {loop + loop + end + end, "steps"},
		"a doubled text":         {"{% set ns = namespace(s='abcdefgh') %}{% for a in range(99) %}{% set ns.s = ns.s ~ ns.s %}" + end, "steps"},
		"a long output":          {loop + "{{ 'x' * 1000 }}" + end, "steps"},
		"constant text":          {loop + strings.Repeat("x", 100_000) + end, "steps"},
		"a long text, forgotten": {loop + "{% set b = 'x' * 10000000 %}" + end, "steps"},
		"replaced nothing":       {"{{ ('a' * 99999).replace('', 'a' * 9999) }}", "the text is longer than"},
		"a doubled list as JSON": {doublings(40, "{{ a | tojson }}"), "a value that is too large or nested too deep"},
		"a doubled list, joined": {"{% set ns = namespace(a=['x']) %}" + loop + "{% set ns.a = ns.a + ns.a %}" + end, "items"},
		"doubled by a macro":     {"{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}" + long + "{{ m(m(m(m(m(t))))) }}", "longer than"},
		"a macro that calls itself twice": {
			"{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(90) }}", "steps",
		},
		"a list in a list": {
			"{% set ns = namespace(a=[]) %}{% for i in range(999) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a | tojson }}",
			"nested too deep",
		},
		"compared":        {long + loop + "{% if t == t %}{% endif %}" + end, "steps"},
		"looked for":      {long + loop + "{% if 'y' in t %}{% endif %}" + end, "steps"},
		"counted":         {long + loop + "{{ t.count('xy') }}{{ t[0] }}" + end, "steps"},
		"captured":        {long + loop + "{% set b %}{{ t }}{% endset %}" + end, "steps"},
		"cut":             {long + loop + "{{ t[5:4] }}" + end, "steps"},
		"filtered":        {loop + "{% for j in range(99999) if false %}" + end + end, "steps"},
		"letters":         {"{% for c in 'x' * 9999999 %}{% endfor %}", "a list of more than 100000 items"},
		"parts":           {"{{ ('x' * 9999999).split('x') | length }}", "a list of more than 100000 items"},
		"joined":          {"{{ ['a', 'b', 'c'] | join('x' * 9999999) }}", "the text is longer than"},
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
	require.ErrorContains(t, err, `line 1: the filter "xmlattr" with 0 arguments is not supported`)
}

// The library alone renders each of these otherwise. What Jinja 3.1.6 renders with trim_blocks and lstrip_blocks.
func TestWhereTheLibraryDiffersFromJinja(t *testing.T) {
	for source, want := range map[string]string{
		"{% if true %}{{ 'a' }} {% endif %}b":                      "a b",
		"a {%- if true %}\n  {% if true %}b{% endif %}{% endif %}": "ab",
		"a\n":                              "a",
		"{{ '\\u3000\\u00a0a'.lstrip() }}": "a",
		"{% for i in range(2) %}{{ x }}{% set x = 1 %}{% endfor %}":                       "",
		"{% set x = 0 %}{% for i in range(2) %}{{ x }}{% set x = 1 %}{% endfor %}{{ x }}": "000",
		"{% set x = 0 %}{% set y %}{% set x = 1 %}{{ x }}{% endset %}{{ x }}{{ y }}":      "01",
		"{% for i in [1] %}{% continue %}{% else %}else{% endfor %}":                      "else",
		"{{ 'é'[-2000000000:] }}{{ 'é'[:2000000000] }}":                                   "éé",
		"{{ none }}{{ null }}": "None",
		"{{ undefined_name is iterable }}{{ 'a' is sequence }}": "TrueTrue",
		"{{ {'b': {'c': 1}, 'a': 2} | tojson }}":                `{"b": {"c": 1}, "a": 2}`,
		"{{ 1 == 1 is odd }}":                                   "True",
	} {
		got, err := render(t, source)
		if source == "{{ 1 == 1 is odd }}" { // 1 == (1 is odd): an integer and a boolean
			require.ErrorContains(t, err, "== of an integer and a boolean is not supported")
			continue
		}
		require.NoError(t, err, source)
		require.Equal(t, want, got, source)
	}
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
	f.Add("{%%}")
	f.Add("{%- raw -%} {{ }} {%- endraw +%}\n{#- x -#}{{ [1, 2][::-1] | sort | join('-') }}{{ 'a' if 0 }}{{ -1 ** 2 }}")
	f.Fuzz(func(t *testing.T, source string) {
		template, err := Compile(source)
		if err != nil {
			return
		}
		_, _ = template.Render([]Message{{"system", "s"}, {"user", "u"}}, "<s>", "</s>", true)
	})
}
