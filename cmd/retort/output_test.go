package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/cmd/retort/internal/progress"
)

func TestQuietLeavesErrorsAndTheResult(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir, "-quiet")
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, processCommands["slow-distill"].execute(t.Context(), args, &stdout, &stderr), stderr.String())
	require.Empty(t, stderr.String())
	require.Contains(t, stdout.String(), dir+"/run/model\n")

	code, out, errs := cli(t.Context(), "search", "-bm25", "-corpus", dir+"/corpus.jsonl", "-quiet", "nothing")
	require.Equal(t, exitOK, code)
	require.Empty(t, out+errs, "no passage has the word, which is only said aloud")
	code, out, errs = cli(t.Context(), "search", "-bm25", "-corpus", dir+"/gone.jsonl", "-quiet", "x")
	require.Equal(t, exitFailure, code)
	require.Empty(t, out)
	require.Contains(t, errs, "gone.jsonl: no such file")
}

func TestResultsAsJSON(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir, "-queries", dir+"/queries.jsonl", "-qrels", dir+"/qrels/test.tsv")
	for _, out := range []string{dir + "/a", dir + "/b"} {
		_, _, err := distillFake(t, t.Context(), append(args, "-out", out)...)
		require.NoError(t, err)
	}
	object := func(args ...string) map[string]any {
		code, stdout, stderr := cli(t.Context(), args...)
		require.Equal(t, exitOK, code, stderr)
		require.Equal(t, 1, strings.Count(stdout, "\n"), stdout)
		var o map[string]any
		require.NoError(t, json.Unmarshal([]byte(stdout), &o), stdout)
		requireDocumented(t, []byte(stdout))
		return o
	}
	status := object("status", dir+"/a", "-json", "-lr", "0.5")
	require.Equal(t, dir+"/a", status["run"])
	stages := status["stages"].([]any)
	require.Len(t, stages, 8)
	train := stages[6].(map[string]any)
	require.Equal(t, "train", train["stage"])
	require.Equal(t, "complete", train["state"])
	require.Contains(t, train["next"], "redone: lr")

	compared := object("compare", dir+"/a", dir+"/b", "-json")
	require.Equal(t, "ndcg@10", compared["metric"])
	line := compared["comparisons"].([]any)[0].(map[string]any)
	require.Equal(t, "judged", line["set"])
	require.EqualValues(t, 6, line["queries"])
	require.Equal(t, []string{
		"against", "against_mean", "difference", "high", "lost", "low", "mean", "p", "p_holm", "queries", "run", "set", "won",
	}, slices.Sorted(maps.Keys(line)))

	require.Equal(t, map[string]any{"run": dir + "/a", "cuts": []any{}, "files": []any{}},
		object("repair", "-json", dir+"/a"))

	hit := object("search", "-json", "-bm25", "-corpus", dir+"/corpus.jsonl", "sorts channel")["hits"].([]any)[0].(map[string]any)
	require.Equal(t, "p24", hit["_id"])
	require.EqualValues(t, 1, hit["rank"])
	require.Empty(t, object("search", "-json", "-bm25", "-corpus", dir+"/corpus.jsonl", "nothing")["hits"])

	require.Contains(t, object("version", "-json", "-quiet"), "libtorch")
}

// requireDocumented fails where docs/command.md does not name a member of the JSON.
func requireDocumented(t *testing.T, data []byte) {
	t.Helper()
	text := readString(t, filepath.Join("..", "..", "docs", "command.md"))
	for _, m := range regexp.MustCompile(`"([^"]+)":`).FindAllStringSubmatch(string(data), -1) {
		require.Contains(t, text, "`"+m[1]+"`", string(data))
	}
}

func TestProgressAndErrorsAsJSON(t *testing.T) {
	dir := collection(t, nil)
	code, stdout, stderr := cli(t.Context(), "eval", "-collection", dir, "-bm25", "-json")
	require.Equal(t, exitOK, code)
	require.Regexp(t, `^\{"ndcg@10":.*\}\n$`, stdout)
	require.Regexp(t, `^\{"type":"progress","stage":"answer queries","done":0,"total":3,"seconds":0\}\n(.*\n)*`+
		`\{"type":"progress","stage":"answer queries","done":3,"total":3,.*"ended":true\}\n$`, stderr)

	code, stdout, stderr = cli(t.Context(), "eval", "-collection", dir+"/gone", "-bm25", "-json")
	require.Equal(t, exitFailure, code)
	require.Empty(t, stdout)
	var e struct {
		Type, Text string
		ExitCode   int `json:"exit_code"`
	}
	require.NoError(t, json.Unmarshal([]byte(stderr), &e), stderr)
	require.Equal(t, "error", e.Type)
	require.Equal(t, exitFailure, e.ExitCode)
	require.Contains(t, e.Text, dir+"/gone")

	code, _, stderr = cli(t.Context(), "eval", "-json", "-quiet", "-bm26")
	require.Equal(t, exitUsage, code)
	require.JSONEq(t, `{"type":"error","text":"flag provided but not defined: -bm26 (did you mean -bm25?)","exit_code":2}`,
		stderr)
}

func TestOutputFlagsAreTakenFromWhereFlagsStand(t *testing.T) {
	for _, c := range []struct {
		args, rest string
		want       outputMode
	}{
		{"-quiet -corpus c -k 3 x", "-corpus c -k 3 x", outputMode{quiet: true}},
		{"x --json --corpus=c -quiet=false", "x --corpus=c", outputMode{json: true}},
		{"-quiet=false -quiet=1 x", "x", outputMode{quiet: true}},
		{"-query-prompt -json -corpus -quiet x", "-query-prompt -json -corpus -quiet x", outputMode{}},
		{"-bm25 -json x", "-bm25 x", outputMode{json: true}},
		{"-- -json -quiet", "-- -json -quiet", outputMode{}},
		{"- -corpus", "- -corpus", outputMode{}},
		{"-unknown -json", "-unknown", outputMode{json: true}},
	} {
		t.Run(c.args, func(t *testing.T) {
			mode, rest, err := takeOutputMode(&searchCommand, strings.Fields(c.args))
			require.NoError(t, err)
			require.Equal(t, c.want, mode)
			require.Equal(t, strings.Fields(c.rest), rest)
		})
	}
}

func TestEveryCommandTellsItsFlagsAndHasNoneOfThoseOfAll(t *testing.T) {
	for _, c := range commands() {
		if c.raw {
			continue
		}
		flags := c.flags()
		require.NotNil(t, flags, "%s must parse its arguments first", c.name)
		for _, name := range []string{"quiet", "json", "h"} {
			require.Nil(t, flags.Lookup(name), "%s -%s", c.name, name)
		}
	}
}

func TestAResultThatCannotBeWrittenIsAFailure(t *testing.T) {
	var stderr bytes.Buffer
	require.Equal(t, exitFailure, run(t.Context(), []string{"version"}, full{}, &stderr))
	require.Equal(t, "retort version: standard output: no space\n", stderr.String())
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	require.Equal(t, "usage", heading(&bytes.Buffer{}, "usage"))
	require.False(t, progress.Colours(&bytes.Buffer{}))
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }
