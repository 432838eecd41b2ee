package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/mine"
)

// handbook is a corpus of short texts about made-up parts, equal in every test.
func handbook(t testing.TB, n int) *retort.MemoryCorpus {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	word := func() string {
		var b strings.Builder
		for range 2 + r.IntN(2) {
			b.WriteByte("bdfgklmnprstvz"[r.IntN(14)])
			b.WriteByte("aeiou"[r.IntN(5)])
		}
		return b.String() + "r"
	}
	words := make([]string, n)
	for i := range words {
		words[i] = word()
	}
	pick := func() string { return words[r.IntN(len(words))] }
	passages := make([]retort.Passage, n)
	for i := range passages {
		passages[i] = retort.Passage{
			ID: fmt.Sprintf("part%03d", i), Title: pick() + " " + pick(),
			Text: fmt.Sprintf("The %s opens the %s valve when the %s pressure rises above the %s limit. "+
				"Every %s keeps a spare %s beside the %s pump of the second floor.",
				pick(), pick(), pick(), pick(), pick(), pick(), pick()),
		}
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return corpus
}

func job(t testing.TB, corpus retort.Corpus, student encoder.Encoder) Job {
	t.Helper()
	dense, err := mine.NewDense(t.Context(), student, corpus, nil)
	require.NoError(t, err)
	bm25, err := mine.NewBM25(t.Context(), corpus, mine.BM25Options{})
	require.NoError(t, err)
	j := NewJob(corpus, dense.Vectors(), bm25)
	j.Training.Schedule.LR = 0.01
	return j
}

func newStudent(t testing.TB) *encodertest.Encoder {
	t.Helper()
	e, err := encodertest.New(encodertest.Options{Seed: 3})
	require.NoError(t, err)
	t.Cleanup(func() { require.Zero(t, e.OpenPasses(), "passes left open") })
	return e
}

func TestAJobMakesQueriesBetterAndLeavesPassagesAlone(t *testing.T) {
	corpus, student := handbook(t, 600), newStudent(t)
	j := job(t, corpus, student)
	j.Queries = []retort.Query{{ID: "q1", Text: "what opens the valve"}, {ID: "q2", Text: "spare beside the pump"}}
	j.Generated = 1500
	stages := map[distill.Stage]int{}
	j.Progress = func(s distill.Stage, _, _ int) { stages[s]++ }

	outcome, err := j.Run(t.Context(), student)
	require.NoError(t, err)
	t.Logf("%+v", *outcome)
	require.True(t, outcome.Taken)
	require.Greater(t, outcome.After, outcome.Before)
	require.Less(t, outcome.P, 0.05)
	require.NotZero(t, outcome.Lists)
	for _, s := range []distill.Stage{distill.StageGenerate, distill.StageMine, distill.StageTrain, distill.StageEvaluate} {
		require.NotZero(t, stages[s], s)
	}

	texts := []string{"anything", "The rosator opens the valve."}
	before, err := newStudent(t).Encode(t.Context(), encoder.Passage, texts)
	require.NoError(t, err)
	after, err := student.Encode(t.Context(), encoder.Passage, texts)
	require.NoError(t, err)
	require.Equal(t, before.Data, after.Data)
	queries, err := student.Encode(t.Context(), encoder.Query, texts)
	require.NoError(t, err)
	require.False(t, slices.Equal(before.Data, queries.Data))
}

func TestAGainThatMayBeChanceIsNotTaken(t *testing.T) {
	corpus := handbook(t, 150)
	run := func(maxP float64) *Outcome {
		student := newStudent(t)
		j := job(t, corpus, student)
		j.MaxP, j.Generated, j.Training.Schedule.LR = maxP, 200, 1e-5
		outcome, err := j.Run(t.Context(), student)
		require.NoError(t, err)
		return outcome
	}
	timid := run(0.05)
	t.Logf("%+v", *timid)
	require.False(t, timid.Taken)
	require.GreaterOrEqual(t, timid.P, 0.05)
	bold := run(1)
	require.Equal(t, bold.After > bold.Before, bold.Taken)
}

func TestACancelledJobStopsAtOnce(t *testing.T) {
	corpus, student := handbook(t, 150), newStudent(t)
	for _, at := range []distill.Stage{distill.StageGenerate, distill.StageMine, distill.StageTrain, distill.StageEvaluate} {
		ctx, cancel := context.WithCancel(t.Context())
		j := job(t, corpus, student)
		j.Training.Schedule.Epochs = 1000
		var cancelled time.Time
		j.Progress = func(s distill.Stage, _, _ int) {
			if s == at && cancelled.IsZero() {
				cancelled = time.Now()
				cancel()
			}
		}
		_, err := j.Run(ctx, student)
		require.ErrorIs(t, err, context.Canceled, at)
		require.Less(t, time.Since(cancelled), 2*time.Second, at)
		cancel()
	}
}

func TestACorpusThatGivesNoQueriesIsRefused(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "x"}, {ID: "b", Text: "y"}})
	require.NoError(t, err)
	student := newStudent(t)
	_, err = job(t, corpus, student).Run(t.Context(), student)
	require.ErrorContains(t, err, "corpus of 2 passages gives too few queries")
}
