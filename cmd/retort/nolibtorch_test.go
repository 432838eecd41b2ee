//go:build !libtorch

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionWithoutLibTorch(t *testing.T) {
	require.Regexp(t, `^retort 0\.1\.0( .*)?\ngo1\.\S+ \w+/\w+\nwithout LibTorch\n$`, succeed(t, "version"))
}

func TestDistillWithoutLibTorchSaysWhichCommandHelps(t *testing.T) {
	dir := collection(t, nil)
	run := filepath.Join(dir, "run")
	code, stdout, stderr := cli(t.Context(), "distill", "-model", tiny, "-corpus", dir+"/corpus.jsonl", "-out", run)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, `training needs LibTorch: built without LibTorch: run "retort libtorch install"`)
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	require.Empty(t, stdout)
	require.NoFileExists(t, filepath.Join(run, "manifest.json"))
}

func TestAModelWithoutLibTorchIsOnTheCPUAndInFP32(t *testing.T) {
	dir := collection(t, nil)
	for flag, value := range map[string]string{"-device": "cuda", "-precision": "bf16"} {
		code, _, stderr := cli(t.Context(), "search", "-corpus", dir+"/corpus.jsonl", "-model", tiny, flag, value, "line")
		require.Equal(t, exitFailure, code)
		require.Contains(t, stderr, `run "retort libtorch install"`)
		require.Contains(t, stderr, "(flag "+flag+")")
	}
}
