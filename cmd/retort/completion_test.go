package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		line string // after retort; the last word is typed
		want string // all candidates
	}{
		{"dis", "distill"},
		{"lib", "libtorch"},
		{"libtorch ", "install env doctor"},
		{"libtorch d", "doctor"},
		{"help exi", "exit-codes"},
		{"help libtorch e", "env"},
		{"help st", "status"},
		{"distill -tow", "-towers"},
		{"distill -generator l", "llm"},
		{"score -fuse ", "z rrf"},
		{"distill --tow", "--towers"},
		{"distill -towers ", "query both"},
		{"distill -loss ", "kl paper"},
		{"distill -target ", "min-max student-scale percentile"},
		{"distill -towers = q", "query"},
		{"distill -towers =", "query both"},
		{"distill -towers=q", "-towers=query"},
		{"distill -corpus c.jsonl -an", "-analyzer"},
		{"distill -corpus ", ""},
		{"distill -source-first -ke", "-keep -keep-source"},
		{"distill -retention-", "-retention-drop"},
		{"distill -interp", "-interpolate"},
		{"embed corpus.jsonl -ro", "-role"},
		{"embed corp", ""},
		{"export -", "-dim -model -onnx -out -pooling -tower -quiet -h"},
		{"export -tower ", "query passage"},
		{"search -j", "-json"},
		{"embed -js", ""},
		{"embed -qui", "-quiet"},
		{"search -- -js", ""},
		{"completion ", "bash zsh fish"},
		{"nothing -", ""},
		{"__complete d", ""},
		{"__com", ""},
		{"libtorch install -", "-all-ops -quiet -h"},
	} {
		t.Run(c.line, func(t *testing.T) {
			out := succeed(t, append([]string{"__complete"}, strings.Split(c.line, " ")...)...)
			var got []string
			for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
				text, _, _ := strings.Cut(line, "\t")
				got = append(got, text)
			}
			require.Equal(t, c.want, strings.Join(got, " "), out)
		})
	}
	require.Empty(t, succeed(t, "__complete"))
	require.Equal(t, "distill\t"+distillCommand.summary+"\n", succeed(t, "__complete", "dis"))
	require.Equal(t,
		"-metric\tmetric of the runs: ndcg@K, recall@K, mrr@K, ... (ndcg@10; without judged queries: mrr@10)\n",
		succeed(t, "__complete", "compare", "-metr"))
	require.Equal(t, "-gamma\tfactor of the teacher's z-scores in target student-scale\n",
		succeed(t, "__complete", "distill", "-gam"))
}

// What is offered as a flag's value, the commands take, and nothing of the sort that they do not.
func TestFlagValuesAreThoseThatTheCommandsTake(t *testing.T) {
	arguments := map[string][]string{ // which let the command look at its flags, and then find nothing
		"distill":       {"-corpus", "none", "-model", "none", "-out", "none"},
		"demo":          {"-model", "none", "-out", "none/none"},
		"eval":          {"-collection", "none"},
		"search":        {"-corpus", "none", "x"},
		"export":        {"-model", "none", "-tower", "query", "-out", "none/none"},
		"embed":         {"-model", "none", "-role", "query", "-out", "none/none", "x"},
		"compare":       {"none", "nothing"},
		"generate":      {"-corpus", "none", "-out", "none/none"},
		"train-teacher": {"-corpus", "none", "-lists", "none", "-start", "none", "-out", "none/none"},
		"score":         {"-corpus", "none", "-lists", "none", "-teacher", "bm25", "-out", "none/none"},
	}
	refused := map[string]bool{}
	for name, values := range flagValues {
		for _, c := range commands() {
			if arguments[c.name] == nil || c.flags().Lookup(name) == nil {
				continue
			}
			for _, value := range append(slices.Clone(values), "nonsense") {
				args := append([]string{c.name}, arguments[c.name]...)
				ranker := map[bool]string{true: "-bm25", false: "-model=none"}[name == "analyzer"]
				if c.flags().Lookup("bm25") != nil {
					args = append(args, ranker)
				}
				if name == "generator" && value != "extractive" {
					args = append(args, "-llm", "none")
				}
				if name == "tower" {
					args = slices.DeleteFunc(args, func(a string) bool { return a == "-tower" || a == "query" })
				}
				if name == "role" {
					args = slices.DeleteFunc(args, func(a string) bool { return a == "-role" || a == "query" })
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel() // where the flags are right
				code, _, stderr := cli(ctx, append(args, "-"+name, value)...)
				require.Equal(t, value == "nonsense", code == exitUsage, "%s -%s %s: %s", c.name, name, value, stderr)
				if code == exitUsage {
					require.Contains(t, stderr, "-"+name)
					refused[name] = true
				}
			}
		}
		require.True(t, refused[name], "no command has -%s", name)
	}
}

// retortScript is a folder with a "retort" that is this test's.
func retortScript(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	quote := "'" + strings.ReplaceAll(os.Args[0], "'", `'\''`) + "'"
	// The arguments go in as JSON; those of the tests have nothing to escape.
	script := fmt.Sprintf(`#!/bin/sh
list=
for word; do list="$list${list:+,}\"$word\""; done
%s="[$list]" exec %s
`, commandLine, quote)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "retort"), []byte(script), 0o755))
	return dir
}

func shell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no", name, "here")
	}
	require.NoError(t, err)
	return path
}

func TestBashCompletesByTheScript(t *testing.T) {
	bash, dir := shell(t, "bash"), retortScript(t)
	for _, c := range []struct{ words, want string }{
		{"retort dis", "distill"},
		{"retort libtorch ", "install env doctor"},
		{"retort distill -towers ", "query both"},
		{"retort compare a b -met", "-metric"},
		{"retort distill -corpus corpus.", ""},
	} {
		t.Run(c.words, func(t *testing.T) {
			cmd := exec.Command(bash, "--norc", "-c", `source <(retort completion bash)
complete -p retort >&2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_retort
echo "${COMPREPLY[*]}"`, "bash")
			cmd.Args = append(cmd.Args, strings.Split(c.words, " ")...)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			require.NoError(t, err, stderr.String())
			require.Equal(t, c.want+"\n", string(out))
			require.Equal(t, "complete -o default -F _retort retort\n", stderr.String())
		})
	}
}

func TestShellsReadTheScripts(t *testing.T) {
	for _, name := range completionShells {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(shell(t, name), "-n")
			cmd.Stdin = strings.NewReader(succeed(t, "completion", name))
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			require.Empty(t, string(out))
		})
	}
	code, _, stderr := cli(t.Context(), "completion", "tcsh")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, `unknown shell "tcsh", want one of bash, zsh, fish`)
}
