package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// answeringRun makes a folder with what demo -answer reads of a run.
func answeringRun(t *testing.T) string {
	t.Helper()
	run := collection(t, nil)
	require.NoError(t, os.CopyFS(filepath.Join(run, runModel), os.DirFS(tiny)))
	succeed(t, "embed", filepath.Join(run, runCorpus), "-model", tiny, "-role", "passage",
		"-out", filepath.Join(run, "vectors.npy"))
	return run
}

func TestDemoAnswersWithTheModelOfARun(t *testing.T) {
	run := answeringRun(t)
	require.Regexp(t, `(?s)\n".+"  +\w+ \(-?\d\.\d{3}\)\n.*one binary of \d+\.\d MiB \(CGO_ENABLED=.*\(median of 5\)\n$`,
		succeed(t, "demo", "-answer", "-out", run))
	var got answersResult
	require.NoError(t, json.Unmarshal([]byte(succeed(t, "demo", "-answer", "-json", "-out", run)), &got))
	require.Len(t, got.Answers, shown)
	for _, a := range got.Answers {
		var search struct {
			Hits []hitResult `json:"hits"`
		}
		require.NoError(t, json.Unmarshal([]byte(succeed(t, "search", "-json", "-corpus", filepath.Join(run, runCorpus),
			"-model", tiny, a.Query)), &search))
		require.Equal(t, search.Hits[0].ID, a.ID, a.Query)
	}
	require.Positive(t, got.OpenMS)
	require.Positive(t, got.QueryMS)
	require.Greater(t, got.Bytes, int64(1<<20))
}

func TestDemoAnswersRefusesVectorsOfAnotherModel(t *testing.T) {
	run := answeringRun(t)
	vectors := filepath.Join(run, "vectors.npy")
	require.NoError(t, os.Remove(vectors))
	succeed(t, "embed", filepath.Join(run, runCorpus), "-model", tiny, "-role", "passage", "-passage-prompt", "other: ",
		"-out", vectors)
	_, _, stderr := cli(t.Context(), "demo", "-answer", "-out", run)
	require.Contains(t, stderr, vectors)
	require.Contains(t, stderr, "another model")
}

func TestDemoAnswerRefusesFlagsOfATraining(t *testing.T) {
	code, _, stderr := cli(t.Context(), "demo", "-answer", "-model", tiny)
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "-model has no effect with -answer")
}
