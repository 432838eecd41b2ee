//go:build libtorch

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDistillLeavesARunThatTheOtherCommandsRead(t *testing.T) {
	for name, flags := range map[string]string{
		"query":   "",
		"both":    "-towers both",
		"judged":  "-queries DIR/queries.jsonl -qrels DIR/qrels/test.tsv",
		"last":    "-keep last",
		"watched": "-interpolate -retention DIR -force",
	} {
		t.Run(name, func(t *testing.T) {
			dir := runFolder(t)
			command := strings.Fields(
				strings.ReplaceAll(
					"distill -corpus DIR/corpus.jsonl -model "+tiny+" -out DIR/run -threads 1 -batch 4 -epochs 1 "+flags,
					"DIR",
					dir,
				),
			)
			out := succeed(t, command...)
			require.Contains(t, out, filepath.Join(dir, "run", "model"))
			for _, file := range []string{"corpus.jsonl", "mine.jsonl", "filter.jsonl", "evaluate.jsonl", "vectors.npy", "results.json", "report.json", "report.html", "student/model.safetensors"} {
				require.FileExists(t, filepath.Join(dir, "run", file))
			}
			if name == "watched" {
				require.FileExists(t, filepath.Join(dir, "run", "metrics", "events.out.tfevents.0.retort"))
				require.Greater(t, len(metricSteps(t, filepath.Join(dir, "run"), "steps.csv")), 1)
				require.Equal(t, []string{"step", "0"}, metricSteps(t, filepath.Join(dir, "run"), "evaluations.csv")[:2])
			}
			var results struct {
				Training struct{ Steps int }
			}
			raw, err := os.ReadFile(filepath.Join(dir, "run", "results.json"))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(raw, &results))
			require.Positive(t, results.Training.Steps)

			evaluation := []string{"eval", "-collection", dir, "-threads", "1", "-model"}
			succeed(t, append(evaluation, filepath.Join(dir, "run", "model"))...)
			require.Equal(t, succeed(t, append(evaluation, tiny)...),
				succeed(t, append(evaluation, filepath.Join(dir, "run", "student"))...), "the student is the model as it was")
			again := succeed(t, command...)
			require.Equal(t, out[:strings.Index(out, " lists,")], again[:strings.Index(again, " lists,")],
				"a second run reuses the first")
			result := succeed(t, append(command, "-json")...)
			require.Equal(t, name == "watched", strings.Contains(result, `"alpha":`), result)
		})
	}
}

func TestDistillTrainsOnTheUsersOwnLists(t *testing.T) {
	dir := runFolder(t)
	lists := ""
	for i := range 6 {
		lists += fmt.Sprintf(
			`{"query":{"_id":"l%d","text":"how it works %d"},"ids":["p%d0","p%d1","p%d2"],"scores":[1,0.5,0]}`+"\n",
			i,
			i,
			i,
			i,
			i,
		)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lists.jsonl"), []byte(lists), 0o600))
	out := succeed(t, "distill", "-corpus", dir+"/corpus.jsonl", "-model", tiny, "-out", dir+"/run", "-lists",
		dir+"/lists.jsonl", "-batch", "2", "-epochs", "3", "-threads", "1", "-keep", "last")
	require.Contains(t, out, "6 lists, 9 of 9 steps")
}

func TestDistillIntoAFolderThatCannotBeWrittenIsAnError(t *testing.T) {
	dir := runFolder(t)
	code, _, stderr := cli(t.Context(), "distill", "-corpus", dir+"/corpus.jsonl", "-model", tiny, "-out",
		dir+"/corpus.jsonl/run")
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "corpus.jsonl")
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
}

func TestDistillEndsWithItsContext(t *testing.T) {
	dir := runFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, _ := cli(ctx, "distill", "-corpus", dir+"/corpus.jsonl", "-model", tiny, "-out", dir+"/run")
	require.Equal(t, exitInterrupted, code)
	require.NoDirExists(t, filepath.Join(dir, "run", "model"))
}
