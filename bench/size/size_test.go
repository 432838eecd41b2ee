package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

func TestLinesOfCodeLeaveOutCommentsAndBlanks(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         int
	}{
		{"empty", "", 0},
		{"a comment", "// Package p.\npackage p\n", 1},
		{"a comment behind code", "package p // it\n\n\nvar x = 1 /* a\nb */ + 2\n", 3},
		{"a comment over lines", "package p\n\n/*\nfunc f() {}\n*/\n", 1},
		{"a text over lines", "package p\n\nvar s = `a\n\nb` + `c\nd`\n", 5},
		{"what looks like a comment", "package p\n\nvar s = `\n// a\n`\n", 4},
		{"two statements on a line", "package p\n\nfunc f() { g(); h() }\n", 2},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, goLines([]byte(c.source))) })
	}
	require.Equal(t, 2,
		comments[".py"].count("\"\"\"Text.\n\nmore\n\"\"\"\n# no\nx = 1  # yes\n\n\"\"\"one line\"\"\"\ny = 2\n"))
	require.Equal(t, 2, comments[".cpp"].count("// no\nint x;\n/* a\nb */\nint y; /* c */\n"))
}

func TestLinesOfATreeLeaveOutTestsAndTestdata(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"a.go": "package a\n", "a_test.go": "package a\n", "testdata/b.go": "package b\n", ".hidden/c.go": "package c\n",
		"b/Makefile": "all:\n\t# no\n\techo\n", "b/x.sh": "#!/bin/sh\necho\n", "notes.md": "text\n",
	})
	n, err := countLines(dir)
	require.NoError(t, err)
	require.Equal(t, lines{Go: 1, Other: 3}, n)
}

func TestExportedNamesAreThoseThatUsersMayImport(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"a.go":               "package retort\n\ntype A struct{ F int }\n\nfunc (A) M() {}\n\nfunc f() {}\n\nconst B, c = 1, 2\n",
		"a_linux.go":         "package retort\n\nfunc D() {}\n",
		"a_other.go":         "//go:build !linux\n\npackage retort\n\nfunc D() {}\n",
		"mine/m.go":          "package mine\n\nvar X, Y int\n",
		"mine/internal/i.go": "package internal\n\nvar X int\n",
		"internal/i.go":      "package internal\n\nvar X int\n",
		"examples/live/l.go": "package live\n\nvar X int\n",
		"mine/tool/main.go":  "package main\n\nvar X int\n",
	})
	names, err := exportedNames(dir)
	require.NoError(t, err)
	require.Equal(t, map[string]int{".": 3, "mine": 2}, names)
}

func TestFilesUseWhatOtherFilesDeclare(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"p/a.go": "package p\n\nimport \"example.com/lib\"\n\nfunc A(x lib.X) { lib.Do(x); T{}.M() }\n",
		"p/b.go": "package p\n\ntype T struct{}\n",
		"p/c.go": "package p\n\nfunc (T) M() { local := 1; _ = local }\n",
		"p/d.go": "package p\n\nfunc A2() { A(nil) }\n\nfunc local() {}\n",
	})
	found, err := packageReferences(dir)
	require.NoError(t, err)
	// a uses b and c, c uses b, d uses a.
	require.Equal(t, references{Files: 4, Pairs: 4, Upward: 0}, found["p"])

	require.NoError(t,
		os.WriteFile(filepath.Join(dir, "p", "e.go"), []byte("package p\n\nfunc (T) N() { A2() }\n\nvar _ = T.M\n"), 0o644))
	require.NoError(t,
		os.WriteFile(filepath.Join(dir, "p", "c.go"), []byte("package p\n\nfunc (t T) M() { t.N() }\n"), 0o644))
	found, err = packageReferences(dir)
	require.NoError(t, err)
	// Now c uses e, e uses b, c and d: c -> e -> c, and c -> e -> d -> a -> c. Without c -> e nothing depends on itself.
	require.Equal(t, references{Files: 5, Pairs: 8, Upward: 1}, found["p"])
}

func TestUpwardIsZeroExactlyWithoutCircles(t *testing.T) {
	for _, c := range []struct {
		name string
		g    graph
		want int
	}{
		{"nothing", graph{}, 0},
		{"a chain", graph{{1}, {2}, {}}, 0},
		{"a diamond, built from the bottom", graph{{}, {0}, {0}, {1, 2}}, 0},
		{"two", graph{{1}, {0}}, 1},
		{"a ring", graph{{1}, {2}, {3}, {0}}, 1},
		{"two rings that share a reference", graph{{1}, {2, 3}, {0}, {0}}, 1},
		{"all of three", graph{{1, 2}, {0, 2}, {0, 1}}, 3},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.g.upward()) })
	}
}

func TestTheTreeOfACommitIsHeldAgainstTodays(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"go.mod":             "module github.com/retort-ir/retort\n\ngo 1.26.0\n",
		"testdata/rooms.txt": "1 mine - retort internal\n0 retort - internal\n0 internal -\n",
		"a.go":               "package retort\n\nvar X, Y int\n",
		"internal/i/i.go":    "package i\n\nimport _ \"github.com/retort-ir/retort/mine\"\n",
		"mine/m.go":          "package mine\n\nimport _ \"github.com/retort-ir/retort\"\n",
	})
	git := func(args ...string) {
		t.Helper()
		out, err := exec.Command(
			"git",
			append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-q", "-m", "first")
	git("tag", "before")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("package retort\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "internal", "i", "i.go"), []byte("package i\n"), 0o644))

	var out strings.Builder
	require.NoError(t, run(t.Context(), dir, "before", &out))
	for _, want := range []string{
		`lines of Go, without comments +6 +4\n`, `run upward +1 of 2 +0 of 1\n`, `refuses +1 of 2 +0 of 1\n`,
		`exported names +2 +0\n`, `\n  retort +2 +0\n`, `\n  mine +1 +1\n$`,
	} {
		require.Regexp(t, want, out.String())
	}
	require.ErrorContains(t, run(t.Context(), dir, "nowhere", &out), `git archive of "nowhere"`)
}
