package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/loss"
)

// world is a corpus of n passages, and a list of four around each: the source, which the teacher puts second, and three
// more.
func world(t *testing.T, n int) (*retort.MemoryCorpus, []retort.List) {
	t.Helper()
	var passages []retort.Passage
	var lists []retort.List
	for i := range n {
		passages = append(passages, retort.Passage{ID: fmt.Sprint("p", i), Text: fmt.Sprintf("passage number%d of all", i)})
		l := retort.List{
			Query: retort.Query{
				ID: fmt.Sprint("q", i), Text: fmt.Sprint("number", i), Source: fmt.Sprint("p", i), Origin: retort.OriginExtractive,
			},
			Scores: []float64{5, 4, 3, 1},
		}
		for _, j := range []int{1, 0, 2, 3} {
			l.IDs = append(l.IDs, fmt.Sprint("p", (i+j)%n))
		}
		lists = append(lists, l)
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return corpus, lists
}

func TestCutPutsTheSourceFirstWithTheHighestScore(t *testing.T) {
	corpus, lists := world(t, 6)
	got, ok, err := cut(corpus, lists[0], 3)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []string{"p0", "p1", "p2"}, got.IDs)
	require.Equal(t, []float64{1, 1, 0}, got.Scores)
	require.False(t, got.Query.Extractive(), "Retort would take no positive")

	l := lists[0]
	l.Query.Source = "elsewhere"
	got, ok, err = cut(corpus, l, 2)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []string{"p1", "p0"}, got.IDs)

	for name, change := range map[string]func(*retort.List){
		"too short": func(l *retort.List) { l.IDs, l.Scores = l.IDs[:2], l.Scores[:2] },
		"no scores": func(l *retort.List) { l.Scores = nil },
		"passages that the corpus lacks": func(l *retort.List) {
			l.IDs = []string{"a", "b", "p0", "p1"}
		},
	} {
		l := lists[0]
		change(&l)
		_, ok, err := cut(corpus, l, 3)
		require.NoError(t, err)
		require.False(t, ok, name)
	}
}

func TestChooseTakesListsAtEqualDistancesOrSaysWhatToDo(t *testing.T) {
	corpus, lists := world(t, 12)
	got, err := choose(corpus, lists, 3, 4)
	require.NoError(t, err)
	require.Equal(t, []string{"q0", "q4", "q8"}, ids(got))
	_, err = choose(corpus, lists, 13, 4)
	require.ErrorContains(t, err, "12 lists have scores and 4 passages")
	require.ErrorContains(t, err, "fewer steps")
}

func ids(lists []retort.List) []string {
	var ids []string
	for _, l := range lists {
		ids = append(ids, l.Query.ID)
	}
	return ids
}

// The other side of the pipe is bench/peer/bench_peer_train.py: the lists of the steps first, then a line a step. The
// steps must take the lists that were announced, or the peer would train on others.
func TestServeTakesTheListsThatItAnnounced(t *testing.T) {
	for _, name := range []string{"joint", "infonce"} {
		corpus, lists := world(t, 12)
		s := settings{loss: name, lr: 1e-3, count: 1, steps: 3, queries: 4, length: 4, tokens: 16}
		require.NoError(t, s.validate())
		chosen, err := choose(corpus, lists, s.steps*s.queries, s.length)
		require.NoError(t, err)
		student, err := encodertest.New(encodertest.Options{Dim: 8})
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, serve(t.Context(), s, "2.15.0", student, corpus, chosen, strings.NewReader("step\nstep\n"), &out))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 3)

		var o opening
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &o))
		require.Equal(t, "2.15.0", o.LibTorch)
		require.Len(t, o.Steps, 3)
		require.Len(t, o.Passages, 12)
		for i, line := range lines[1:] {
			var a answer
			require.NoError(t, json.Unmarshal([]byte(line), &a))
			var want []string
			for _, l := range o.Steps[i] {
				want = append(want, l.ID)
				require.Equal(t, "passage "+l.Query+" of all", o.Passages[l.Passages[0]], "the positive is the source")
			}
			slices.Sort(want)
			require.Equal(t, want, a.Queries)
			require.Equal(t, 16, a.Listed)
			require.Positive(t, a.Seconds)
			require.Positive(t, a.Loss)
			require.GreaterOrEqual(t, a.Padded, a.Tokens)
		}
	}
}

func TestServeEndsAtTheFirstError(t *testing.T) {
	corpus, lists := world(t, 12)
	s := settings{loss: "joint", lr: 1e-3, queries: 6}
	for in, want := range map[string]string{"speed\n": `"speed"`, "step\nspeed\n": `"speed"`} {
		student, err := encodertest.New(encodertest.Options{Dim: 8})
		require.NoError(t, err)
		chosen, err := choose(corpus, lists, 12, 4)
		require.NoError(t, err)
		var out bytes.Buffer
		require.ErrorContains(t, serve(t.Context(), s, "", student, corpus, chosen, strings.NewReader(in), &out), want)
	}
}

func TestMadeListsAreGoodEnoughToChooseFrom(t *testing.T) {
	var passages []retort.Passage
	for i := range 30 {
		passages = append(passages, retort.Passage{
			ID: fmt.Sprint("p", i), Title: fmt.Sprint("Thing", i),
			Text: fmt.Sprintf("The shared thing number%d reads lines from a file and sorts them in order%d.", i, i),
		})
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "given.jsonl")
	require.NoError(t, retort.SaveCorpus(path, corpus))
	s := settings{
		make: filepath.Join(dir, "made"), corpus: path, loss: "joint", lr: 1, count: 10, steps: 1, queries: 1, length: 5,
		tokens: 8,
	}
	require.NoError(t, run(t.Context(), s, nil, nil))

	made, err := retort.LoadCorpus(filepath.Join(s.make, "corpus.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 30, made.Len())
	lists, err := retort.LoadLists(filepath.Join(s.make, "lists.jsonl"))
	require.NoError(t, err)
	require.Len(t, lists, 10)
	_, err = choose(made, lists, 10, 5)
	require.NoError(t, err)
}

func TestSettingsNameTheFlagThatIsWrong(t *testing.T) {
	good := settings{loss: "joint", lr: 1e-5, count: 1, steps: 1, queries: 1, length: 2, tokens: 3}
	require.NoError(t, good.validate())
	for want, change := range map[string]func(*settings){
		"-loss is": func(s *settings) { s.loss = "kl" }, "-lr is": func(s *settings) { s.lr = 0 }, "-list is": func(s *settings) { s.length = 1 },
		"-steps is": func(s *settings) { s.steps = 0 }, "-queries is": func(s *settings) { s.queries = -1 },
	} {
		bad := good
		change(&bad)
		require.ErrorContains(t, bad.validate(), want)
	}
	joint, err := good.trainingLoss()
	require.NoError(t, err)
	require.Zero(t, joint.(loss.Sum)[1].Loss.(loss.InfoNCE).MaskRatio, "the peer has no mask")
	require.Error(t, run(t.Context(), settings{}, nil, os.Stdout))
}
