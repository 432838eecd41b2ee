package likelihood

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/teacher"
)

// fake finds a query the likelier the more of its words stand in the prompt's head, and remembers what it was asked.
type fake struct {
	prompts       [][2]string
	continuations [][]string
	fail          string // an error for calls with this in a prompt
	short         bool   // an answer too few
	cancel        func()
}

func (f *fake) Fingerprint() string { return "fake" }

func (f *fake) MeanLogLikelihoods(ctx context.Context, prompts [][2]string, continuations [][]string) ([][]float64, error) {
	f.prompts, f.continuations = append(f.prompts, prompts...), append(f.continuations, continuations...)
	if f.cancel != nil {
		f.cancel()
		return nil, ctx.Err()
	}
	out := make([][]float64, len(prompts))
	for i, p := range prompts {
		if f.fail != "" && strings.Contains(p[0], f.fail) {
			return nil, errors.New("out of memory")
		}
		for _, c := range continuations[i] {
			words := strings.Fields(c)
			score := -float64(len(words))
			for _, w := range words {
				if strings.Contains(p[0], w) {
					score++
				}
			}
			out[i] = append(out[i], score)
		}
		if f.short {
			out[i] = out[i][1:]
		}
	}
	return out, nil
}

func newTeacher(t testing.TB, model LanguageModel, o Options) *Teacher {
	t.Helper()
	l, err := New(model, o)
	require.NoError(t, err)
	return l
}

func query(id, text string) retort.Query { return retort.Query{ID: id, Text: text} }

var (
	tea    = retort.Passage{ID: "1", Title: "Green tea", Text: "is made\nof  steamed leaves."}
	retrt  = retort.Passage{ID: "2", Text: "A retort is a vessel."}
	empty  = retort.Passage{ID: "3", Text: " \n "}
	listed = []retort.Passage{tea, retrt, empty}
)

func TestScoreAsksForTheQueryBehindEachPassage(t *testing.T) {
	model := &fake{}
	scores, err := newTeacher(t, model, Options{}).Score(t.Context(), query("q", "green  steamed\ntea"), listed)
	require.NoError(t, err)
	require.Equal(t, []float64{-1, -3}, scores[:2])
	require.True(t, math.IsNaN(scores[2]), "a passage without text cannot be scored")
	require.Equal(t, [][2]string{
		{"Passage: Green tea is made of steamed leaves.", "\nPlease write a question based on this passage.\nQuestion:"},
		{"Passage: A retort is a vessel.", "\nPlease write a question based on this passage.\nQuestion:"},
	}, model.prompts)
	require.Equal(t, [][]string{{" green steamed tea"}, {" green steamed tea"}}, model.continuations)
}

func TestABatchReadsEachPassageOnce(t *testing.T) {
	model := &fake{}
	l := newTeacher(t, model, Options{})
	var lists []teacher.Work
	var ps []retort.Passage
	for i := range 50 {
		ps = append(ps, retort.Passage{ID: fmt.Sprint(i), Text: fmt.Sprintf("word%d and word%d", i, i+1)})
	}
	for i := range 20 {
		lists = append(lists, teacher.Work{Query: query(fmt.Sprint(i), fmt.Sprintf("word%d word%d", i%9, i+2)), Passages: ps[i : i+30]})
	}
	lists[7].Query.Text = lists[8].Query.Text
	lists[9].Query.Text = ""
	lists[10].Passages = nil
	got := map[int]teacher.Scored{}
	for i, scored := range l.ScoreBatch(t.Context(), lists) {
		require.NotContains(t, got, i)
		got[i] = scored
	}
	require.Len(t, got, len(lists))
	seen := map[string]bool{}
	for i, p := range model.prompts {
		require.False(t, seen[p[0]], "read twice")
		seen[p[0]] = true
		distinct := map[string]bool{}
		for _, c := range model.continuations[i] {
			require.False(t, distinct[c])
			distinct[c] = true
		}
	}
	for i, list := range lists {
		want, err := l.Score(t.Context(), list.Query, list.Passages)
		if i == 9 {
			require.ErrorContains(t, got[i].Err, `query "9" has no text`)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, got[i].Scores)
	}
}

func TestListsFailAlone(t *testing.T) {
	var lists []teacher.Work
	for i := range 3 {
		var ps []retort.Passage
		for j := range 32 {
			ps = append(ps, retort.Passage{Text: fmt.Sprintf("word%d of list%d", j, i)})
		}
		lists = append(lists, teacher.Work{Query: query("q", "word1"), Passages: ps})
	}
	for i, scored := range newTeacher(t, &fake{fail: "list1"}, Options{}).ScoreBatch(t.Context(), lists) {
		if i == 1 {
			require.ErrorContains(t, scored.Err, "out of memory")
			continue
		}
		require.NoError(t, scored.Err)
		require.Len(t, scored.Scores, 32)
	}
	_, err := newTeacher(t, &fake{short: true}, Options{}).Score(t.Context(), query("q", "x"), listed)
	require.ErrorContains(t, err, "the model answered 0 continuations, 1 were asked")
}

func TestTheEndOfTheContextEndsTheBatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := newTeacher(t, &fake{cancel: cancel}, Options{})
	for range l.ScoreBatch(ctx, []teacher.Work{{Query: query("q", "x"), Passages: listed}}) {
		t.Fatal("nothing was scored")
	}
	_, err := l.Score(ctx, query("q", "x"), listed)
	require.ErrorIs(t, err, context.Canceled)
}

func TestFingerprintFollowsModelAndPrompt(t *testing.T) {
	a := newTeacher(t, &fake{}, Options{}).Fingerprint()
	require.Equal(t, a, newTeacher(t, &fake{}, Options{BatchSize: 3, Prompt: defaultPrompt}).Fingerprint())
	require.NotEqual(t, a, newTeacher(t, &fake{}, Options{Prompt: "{passage}\nClaim:"}).Fingerprint())
}

func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]Options{
		"Options.Prompt holds {passage} 0 times": {Prompt: "Question:"},
		"Options.Prompt holds {passage} 2 times": {Prompt: "{passage} {passage}"},
		"Options.BatchSize is -1":                {BatchSize: -1},
	} {
		_, err := New(&fake{}, o)
		require.ErrorContains(t, err, want)
	}
	_, err := New(nil, Options{})
	require.ErrorContains(t, err, "needs a model")
}
