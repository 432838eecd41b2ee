package main

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
)

// The other side of the pipe is bench/peer/bench_peer_generate.py: a line of JSON to begin with, then one an answer.
func TestServeSpeaksWhatTheScriptReads(t *testing.T) {
	o := &opening{Go: "go1.24", LibTorch: "2.15.0", MaxTokens: 50, Rounds: [][]string{{"Passage: tea"}, {"Passage: milk"}}}
	var out bytes.Buffer
	var asked []int
	timed := func(round int) (answer, error) {
		asked = append(asked, round)
		return answer{Seconds: 1.5, Texts: []string{" why"}, Tokens: 2}, nil
	}
	require.NoError(t, serve(o, strings.NewReader("time 1\ntime 0\n"), &out, timed))
	require.Equal(t, []int{1, 0}, asked)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.JSONEq(t,
		`{"go":"go1.24","libtorch":"2.15.0","max_tokens":50,"rounds":[["Passage: tea"],["Passage: milk"]]}`, lines[0])
	require.JSONEq(t, `{"seconds":1.5,"texts":[" why"],"tokens":2}`, lines[1])
	require.Equal(t, lines[1], lines[2])
}

func TestServeEndsAtTheFirstError(t *testing.T) {
	failed := errors.New("failed")
	timed := func(int) (answer, error) { return answer{}, failed }
	o := &opening{Rounds: [][]string{{"Passage: tea"}}}
	require.ErrorIs(t, serve(o, strings.NewReader("time 0\n"), io.Discard, timed), failed)
	for _, request := range []string{"speed", "time", "time 1", "time -1"} {
		require.ErrorContains(t, serve(o, strings.NewReader(request+"\n"), io.Discard, timed), strconv.Quote(request))
	}
}

func TestRoundsHaveDifferentRequests(t *testing.T) {
	requests := make([]generate.Request, 5)
	for i := range requests {
		requests[i].Seed = uint64(i)
	}
	got := rounds(requests, 2)
	require.Equal(t, [][]generate.Request{{requests[0], requests[2], requests[4]}, {requests[1], requests[3]}}, got)
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
