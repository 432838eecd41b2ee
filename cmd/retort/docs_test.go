package main

import (
	"flag"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDocsListEveryCommand(t *testing.T) {
	text := readString(t, filepath.Join("..", "..", "docs", "command.md"))
	for _, c := range commands() {
		if !c.hidden {
			require.Contains(t, text, "\n| `retort "+c.name+"` | ")
		}
	}
}

func TestDocsNameEveryMemberOfTheResults(t *testing.T) {
	text := readString(t, filepath.Join("..", "..", "docs", "command.md"))
	for _, result := range []any{
		distillResult{},
		demoResult{},
		answersResult{},
		generateResult{},
		scoreResult{},
		trainTeacherResult{},
		runStatusResult{},
		comparisonLine{},
		hitResult{},
	} {
		for _, member := range members(reflect.TypeOf(result)) {
			require.True(t, strings.Contains(text, "`"+member+"`"), "docs/command.md does not name %q of %T", member, result)
		}
	}
}

// members are the names in JSON of a type's fields, and of the fields of their types.
func members(t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return members(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
		names = append(names, members(f.Type)...)
	}
	return names
}

// Pages and scripts outlive a flag that is renamed.
func TestFlagsOfPagesAndScriptsExist(t *testing.T) {
	known := []string{"json", "quiet", "h"}
	spans := "`(?:retort )?(?:-"
	for _, c := range commands() {
		spans += "|" + c.name + " "
		if !c.raw {
			c.flags().VisitAll(func(f *flag.Flag) { known = append(known, f.Name) })
		}
	}
	inCode := regexp.MustCompile(spans + ")[^`]*`")
	inScript := regexp.MustCompile(`"-[a-z][a-z-]*"`)
	for file, code := range map[string]*regexp.Regexp{
		"README.md": inCode, "CHANGELOG.md": inCode, "docs/command.md": inCode, "docs/design.md": inCode,
		"docs/model-folders.md": inCode, "docs/results.md": inCode, "docs/run-folder.md": inCode, "bench/towers.py": inScript,
	} {
		for _, span := range code.FindAllString(readString(t, filepath.Join("..", "..", filepath.FromSlash(file))), -1) {
			for _, m := range regexp.MustCompile("[`\" ]-([a-z][a-z-]*)").FindAllStringSubmatch(span, -1) {
				if !slices.Contains(known, m[1]) {
					t.Errorf("%s: no command has the flag -%s: %s", file, m[1], span)
				}
			}
		}
	}
}
