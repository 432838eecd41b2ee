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

func TestWithoutLibTorchAModelSaysWhichCommandHelps(t *testing.T) {
	tiny := filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny")
	for _, args := range []string{
		"eval -collection DIR -model " + tiny,
		"search -corpus DIR/corpus.jsonl -model " + tiny + " line",
		"embed -model " + tiny + " -role passage DIR/corpus.jsonl -out DIR/x.npy",
	} {
		t.Run(args, func(t *testing.T) {
			dir := collection(t, nil)
			code, stdout, stderr := cli(t.Context(), strings.Fields(strings.ReplaceAll(args, "DIR", dir))...)
			require.Equal(t, exitFailure, code)
			require.Contains(t, stderr, `run "retort libtorch install"`)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.Empty(t, stdout)
			require.NotContains(t, names(t, dir), "x.npy")
		})
	}
}
