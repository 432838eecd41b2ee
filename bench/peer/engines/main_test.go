package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder/transformer"
)

const tiny = "../../../encoder/transformer/testdata/tiny"

// The other side of the pipe is bench/peer/bench_engines.py: one line a request.
func TestEnginesSpeakWhatTheScriptReads(t *testing.T) {
	var out bytes.Buffer
	requests := `{"do":"calls","texts":["one","two"],"calls":5,"callers":2}
{"do":"batch","texts":["one","two"]}
{"do":"vectors","texts":["one"]}
{"do":"tokens","texts":["one","one two"]}
{"do":"memory"}`
	require.NoError(t, run(t.Context(), tiny, transformer.Options{}, strings.NewReader(requests), &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 6)
	var opened opening
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &opened))
	require.NotEmpty(t, opened.Engine)
	require.Positive(t, opened.Seconds)
	var took, vector []float64
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &took))
	require.Len(t, took, 6)
	for _, seconds := range took {
		require.Positive(t, seconds)
	}
	require.NoError(t, json.Unmarshal([]byte(lines[3]), &vector))
	require.Len(t, vector, 32)
	var tokens []int
	require.NoError(t, json.Unmarshal([]byte(lines[4]), &tokens))
	require.Less(t, tokens[0], tokens[1])

	require.ErrorContains(t, run(t.Context(), tiny, transformer.Options{}, strings.NewReader(`{"do":"x"}`), &out), `do "x"`)
	require.ErrorContains(t, run(t.Context(), "none", transformer.Options{}, strings.NewReader(""), &out), "none")
}
