package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/npy"
)

// The other side of the pipe is bench/peer/bench_peer_search.py: one line a request.
func TestServeSpeaksWhatTheScriptReads(t *testing.T) {
	folder := t.TempDir()
	passages, queries := filepath.Join(folder, "passages.npy"), filepath.Join(folder, "queries.npy")
	require.NoError(t, npy.WriteFile(passages, blas32.General{Rows: 3, Cols: 2, Stride: 2, Data: []float32{1, 0, 0, 1, 1, 1}}))
	require.NoError(t, npy.WriteFile(queries, blas32.General{Rows: 2, Cols: 2, Stride: 2, Data: []float32{2, 1, 0, -1}}))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), passages, queries, 2, strings.NewReader("hits\ntime\n"), &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	require.JSONEq(t, `[[2,0],[0,1]]`, lines[0])
	var seconds float64
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &seconds))
	require.Positive(t, seconds)

	require.ErrorContains(t, run(t.Context(), passages, queries, 2, strings.NewReader("x\n"), &out), `request is "x", want`)
	require.ErrorContains(t, run(t.Context(), passages, folder+"/none", 2, strings.NewReader(""), &out), "none")
}
