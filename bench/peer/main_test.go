package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
)

func TestSpreadTakesPassagesAtEqualDistances(t *testing.T) {
	var passages []retort.Passage
	for i := range 10 {
		passages = append(passages, retort.Passage{ID: fmt.Sprint(i), Title: "t", Text: fmt.Sprint(i)})
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	for _, test := range []struct {
		n    int
		want string
	}{
		{1, "0"},
		{3, "0 3 6"},
		{5, "0 2 4 6 8"},
		{10, "0 1 2 3 4 5 6 7 8 9"},
		{99, "0 1 2 3 4 5 6 7 8 9"},
	} {
		texts, err := spread(corpus, test.n)
		require.NoError(t, err)
		require.Equal(t, test.want, strings.ReplaceAll(strings.Join(texts, " "), "t ", ""), "%d of 10", test.n)
	}
	none, err := spread(&retort.MemoryCorpus{}, 5)
	require.NoError(t, err)
	require.Empty(t, none)
}

// The other side of the pipe is bench/peer/bench_peer.py: a line of JSON to begin with, then one an answer.
func TestServeSpeaksWhatTheScriptReads(t *testing.T) {
	e, err := encodertest.New(encodertest.Options{Dim: 4})
	require.NoError(t, err)
	o := &opening{Go: "go1.24", LibTorch: "2.15.0", Texts: []string{"sort a slice", "read a file"}}
	var out bytes.Buffer
	require.NoError(t, serve(t.Context(), e, o, strings.NewReader("vectors\ntime\n"), &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.JSONEq(t, `{"go":"go1.24","libtorch":"2.15.0","texts":["sort a slice","read a file"]}`, lines[0])

	want, err := e.Encode(t.Context(), encoder.Passage, o.Texts)
	require.NoError(t, err)
	var vectors []float32
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &vectors))
	require.Equal(t, want.Data, vectors)
	var seconds float64
	require.NoError(t, json.Unmarshal([]byte(lines[2]), &seconds))
	require.Positive(t, seconds)
}

func TestServeEndsAtTheFirstError(t *testing.T) {
	e, err := encodertest.New(encodertest.Options{})
	require.NoError(t, err)
	o := &opening{Texts: []string{"x"}}
	require.ErrorContains(t, serve(t.Context(), e, o, strings.NewReader("time\nspeed\ntime\n"), io.Discard), `"speed"`)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, serve(cancelled, e, o, strings.NewReader("time\n"), io.Discard), context.Canceled)
	require.ErrorIs(t, serve(t.Context(), e, o, strings.NewReader("time\n"), closedPipe{}), errPipe)
}

var errPipe = errors.New("broken pipe")

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errPipe }
