package main

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/teacher"
)

// lengths scores a passage by its length.
type lengths struct{}

func (lengths) Score(_ context.Context, _ retort.Query, passages []retort.Passage) ([]float64, error) {
	scores := make([]float64, len(passages))
	for i, p := range passages {
		scores[i] = float64(len(p.Text))
	}
	return scores, nil
}

func (lengths) BatchSize() int { return 1 }

// ScoreBatch finishes the last list first.
func (l lengths) ScoreBatch(ctx context.Context, lists []teacher.Work) iter.Seq2[int, teacher.Scored] {
	return func(yield func(int, teacher.Scored) bool) {
		for i := len(lists) - 1; i >= 0; i-- {
			scores, err := l.Score(ctx, lists[i].Query, lists[i].Passages)
			if !yield(i, teacher.Scored{Scores: scores, Err: err}) {
				return
			}
		}
	}
}

// The other side of the pipe is bench/peer/bench_peer_crossencoder.py: the lists first, then one line a request.
func TestServeSpeaksWhatTheScriptReads(t *testing.T) {
	var out bytes.Buffer
	in := `[["q1","one","three"],["q2","seven"],["q3"]]` + "\nscores\ntime\n"
	require.NoError(t, serve(t.Context(), lengths{}, strings.NewReader(in), &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	require.JSONEq(t, `[3,5,5]`, lines[0])
	var seconds float64
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &seconds))
	require.Positive(t, seconds)

	for in, want := range map[string]string{
		"":                       "no lists",
		"{}":                     "the lists: ",
		"[[]]":                   "list 0 has no query",
		"[[\"q\"]]\nsomething\n": `request is "something", want`,
	} {
		require.ErrorContains(t, serve(t.Context(), lengths{}, strings.NewReader(in), &out), want)
	}
}
