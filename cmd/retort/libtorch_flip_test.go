//go:build libtorch

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRandomFlippedBitsOfARealRunAreNoticedOrHarmless is the test of flips through the command itself, with a BERT
// model and a teacher that leaves scores in the run. RETORT_SOAK=1 (make soak) makes it 200 flips.
func TestRandomFlippedBitsOfARealRunAreNoticedOrHarmless(t *testing.T) {
	flips := 4
	if os.Getenv("RETORT_SOAK") != "" {
		flips = 200
	}
	dir := runFolder(t)
	run := filepath.Join(dir, "run")
	command := strings.Fields("distill -threads 1 -batch 4 -force -max-lists 20 -corpus " + dir +
		"/corpus.jsonl -model " + tiny +
		" -teacher bm25+encoder:" + tiny + " -queries " + dir + "/queries.jsonl -qrels " + dir + "/qrels/test.tsv -out")
	again := func(out string) (string, error) {
		var stdout, stderr bytes.Buffer
		command := append(slices.Clone(command), out)
		if code := distillCommand.execute(t.Context(), command[1:], &stdout, &stderr); code != exitOK {
			return stderr.String(), fmt.Errorf("exit code %d: %s", code, stderr.String())
		}
		return stderr.String(), nil
	}
	for range 2 {
		log, err := again(run)
		require.NoError(t, err, log)
	}
	require.FileExists(t, filepath.Join(run, ledgers[1]))
	require.FileExists(t, filepath.Join(run, "costs.json"))
	tryFlips(t, run, randomFlips(t, run, flips), again)
}
