package libtorch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFunctionsAreFoundAmongCommentsLiteralsAndDirectives(t *testing.T) {
	src := string(read(t, "testdata/gotch/libtch/torch_api.cpp"))
	found, err := functions(src)
	require.NoError(t, err)
	var names []string
	for _, f := range found {
		names = append(names, f.result+" "+f.name)
		require.True(t, strings.HasPrefix(src[f.open:f.end], "{"), f.name)
		require.True(t, strings.HasSuffix(src[f.open:f.end], "}"), f.name)
		require.Equal(t, f.line, 1+strings.Count(src[:f.start], "\n"), f.name)
		require.Equal(t, f.toLine, 1+strings.Count(src[:f.end], "\n"), f.name)
	}
	require.Equal(t, []string{"char * get_and_reset_last_err", "T times", "int atg_twice", "void ato_step"}, names)
	require.True(t, found[1].isTemplate)
}

func TestAnUnclosedBraceIsAnError(t *testing.T) {
	_, err := functions("\nint f() { if (x) { }")
	require.EqualError(t, err, "line 2: unclosed brace")
}

func TestTrimmingKeepsSignaturesAndDropsWhatIsNotAskedFor(t *testing.T) {
	s, err := readSources("testdata/gotch")
	require.NoError(t, err)
	out, err := s.trimmed(func(name string) bool { return name == "atg_thrice" }, nil)
	require.NoError(t, err)
	require.Contains(t, out.api, `int atg_twice(int x) { retort_left_out(__func__); return {}; }`)
	require.Contains(t, out.api, `void ato_step(optimizer o) { retort_left_out(__func__); }`)
	require.NotContains(t, out.api, "template", "no kept operation calls it")
	require.Contains(t, out.generated, "torch::times(x, 3)")
	require.Contains(t, out.header, "typedef void *optimizer;\n#define", "no optimizer is kept, so its header is not read")
	require.NotContains(t, out.header, "<torch/torch.h>")

	out, err = s.trimmed(func(name string) bool { return name == "ato_step" || name == "atg_twice" }, []string{"ato_step"})
	require.NoError(t, err)
	require.Contains(t, out.api, "template", "atg_twice calls it")
	require.Contains(t, out.api, `void ato_step(optimizer o) { retort_rejected(__func__); }`)

	out, err = s.trimmed(func(string) bool { return true }, nil)
	require.NoError(t, err)
	require.Equal(t, s.generated, out.generated)
	require.Contains(t, out.header, "<torch/torch.h>")
}

// TestGotchsOwnSourcesKeepTheirSignatures reads the real files, from the module cache.
func TestGotchsOwnSourcesKeepTheirSignatures(t *testing.T) {
	s, err := readSources(realGotch(t))
	require.NoError(t, err)
	before := operations(t, s)
	require.Equal(t, 131+2525, len(before),
		"operations of torch_api.cpp and of torch_api_generated.cpp.h in gotch "+gotchVersion)
	for name, keep := range map[string]func(string) bool{
		"none":      func(string) bool { return false },
		"Retort's":  (&build{ops: Ops()}).keep,
		"all":       func(string) bool { return true },
		"optimizer": func(name string) bool { return strings.HasPrefix(name, "ato_") },
	} {
		t.Run(name, func(t *testing.T) {
			out, err := s.trimmed(keep, nil)
			require.NoError(t, err)
			require.True(t, slices.Equal(before, operations(t, out)))
		})
	}
}

// operations returns the heads of the definitions.
func operations(t *testing.T, s sources) []string {
	t.Helper()
	var heads []string
	for _, src := range []string{s.api, s.generated} {
		fs, err := functions(src)
		require.NoError(t, err)
		for _, f := range fs {
			if f.isOperation() {
				heads = append(heads, src[f.start:f.open])
			}
		}
	}
	return heads
}

func TestErrorsAreBlamedOnOperations(t *testing.T) {
	s, err := readSources("testdata/gotch")
	require.NoError(t, err)
	for name, output := range map[string]string{
		"g++": "/tmp/x/torch_api_generated.cpp.h: In function 'void atg_gone()':\n" +
			"/tmp/x/torch_api_generated.cpp.h:10:12: error: 'gone' is not a member of 'torch'\n" +
			"/tmp/x/torch_api_generated.cpp.h:3:5: note: in definition of macro 'PROTECT'\n",
		"clang++":           "torch_api_generated.cpp.h:10:12: error: no member named 'gone' in namespace 'torch'\n",
		"inside a template": "/t/include/c10/x.h:99:3: error: no match\n/tmp/torch_api_generated.cpp.h:10:12:   required from here\n",
	} {
		t.Run(name, func(t *testing.T) {
			names, err := s.blame(output)
			require.NoError(t, err)
			require.Equal(t, []string{"atg_gone"}, names)
		})
	}
}

func TestTheListHoldsWhatTheSourceCalls(t *testing.T) {
	ops, err := UsedOps(filepath.Join("..", "..", "..", ".."), filepath.Join(realGotch(t), "libtch"))
	require.NoError(t, err)
	require.Equal(t, ops, Ops(), "run: go generate ./cmd/retort/internal/libtorch")
}

func TestUsedOpsFollowsGoFunctionsAndReadsPreambles(t *testing.T) {
	root := writeModule(t, map[string]string{
		"alias.go":   "package p\n\nimport lib \"" + libtchImport + "\"\n\nvar _ = lib.Thrice\n",
		"plain.go":   "package p\n\nimport \"" + libtchImport + "\"\n\nfunc f() { libtch.AtgTwice(1) }\n",
		"c_code.go":  "package p\n\n// extern int at_get_num_threads(void);\nimport \"C\"\n\nimport _ \"" + libtchImport + "\"\n",
		"another.go": "package p\n\nimport libtch \"example.com/libtch\"\n\nvar _ = libtch.AtgGone\n",
	})
	ops, err := UsedOps(root, "testdata/gotch/libtch")
	require.NoError(t, err)
	require.Equal(t, []string{"at_get_num_threads", "atg_thrice", "atg_twice"}, ops)

	write(t, filepath.Join(root, "dot.go"), "package p\n\nimport . \""+libtchImport+"\"\n")
	_, err = UsedOps(root, "testdata/gotch/libtch")
	require.ErrorContains(t, err, "dot.go: a dot import")
}

// realGotch is the folder of gotch in the module cache. Tests without the tag do not need gotch, so it may be missing.
func realGotch(t *testing.T) string {
	t.Helper()
	out, err := goCommand(t.Context(), "list", "-m", "-f", "{{.Dir}}", gotchModule)
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skip("gotch is not in the module cache: run go mod download " + gotchModule)
	}
	return dir
}

func FuzzFunctions(f *testing.F) {
	for _, name := range []string{"torch_api.cpp", "torch_api_generated.cpp.h", "torch_api.h"} {
		data, err := os.ReadFile(filepath.Join("testdata/gotch/libtch", name))
		require.NoError(f, err)
		f.Add(string(data))
	}
	f.Add("int f() { \"")
	f.Add("#\\")
	f.Add("template <a> b c(){}")
	f.Fuzz(func(t *testing.T, src string) {
		found, err := functions(src)
		if err != nil {
			return
		}
		at := 0
		for _, f := range found {
			require.True(t, at <= f.start && f.start < f.open && f.open < f.end && f.end <= len(src))
			at = f.end
		}
		same, err := rewrite(src, func(_ *function, text string) string { return text })
		require.NoError(t, err)
		require.Equal(t, src, same)
	})
}
