package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// The other side of the pipe is bench/peer/bench_peer_generate.py: a line of JSON to begin with, then one an answer.
func TestServeSpeaksWhatTheScriptReads(t *testing.T) {
	o := &opening{Go: "go1.24", LibTorch: "2.15.0", MaxTokens: 50, Prompts: []string{"Passage: tea\nQuestion:"}}
	var out bytes.Buffer
	timed := func() (answer, error) { return answer{Seconds: 1.5, Texts: []string{" why"}, Tokens: 2}, nil }
	require.NoError(t, serve(o, strings.NewReader("time\ntime\n"), &out, timed))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.JSONEq(t, `{"go":"go1.24","libtorch":"2.15.0","max_tokens":50,"prompts":["Passage: tea\nQuestion:"]}`,
		lines[0])
	require.JSONEq(t, `{"seconds":1.5,"texts":[" why"],"tokens":2}`, lines[1])
	require.Equal(t, lines[1], lines[2])
}

func TestServeEndsAtTheFirstError(t *testing.T) {
	failed := errors.New("failed")
	timed := func() (answer, error) { return answer{}, failed }
	require.ErrorIs(t, serve(&opening{}, strings.NewReader("time\n"), io.Discard, timed), failed)
	require.ErrorContains(t, serve(&opening{}, strings.NewReader("speed\n"), io.Discard, timed), `"speed"`)
}

func TestRequestsAreGreedyAndShareFewPrompts(t *testing.T) {
	var passages []retort.Passage
	for _, id := range strings.Fields("a b c d e f g h i j k l m n o p") {
		passages = append(passages, retort.Passage{ID: id, Text: "The text of passage " + id})
	}
	requests, err := requestsFor(passages, "question")
	require.NoError(t, err)
	require.Len(t, requests, len(passages))
	prefixes := map[string]bool{}
	for i, r := range requests {
		require.Contains(t, r.Prompt.Own, passages[i].Text)
		require.Zero(t, r.Temperature)
		prefixes[r.Prompt.Prefix] = true
	}
	require.LessOrEqual(t, len(prefixes), 8)
	_, err = requestsFor(passages, "riddle")
	require.ErrorContains(t, err, "riddle")
}
