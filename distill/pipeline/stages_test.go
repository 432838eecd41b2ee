package pipeline

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// fixedGenerator makes two queries of a passage: its text, and one that every passage makes.
type fixedGenerator struct{ origin string }

func (g fixedGenerator) Generate(_ context.Context, p retort.Passage) ([]retort.Query, error) {
	return []retort.Query{
		{ID: p.ID + "#0", Text: p.Text, Type: "text", Source: p.ID, Origin: g.origin},
		{ID: p.ID + "#1", Text: "the same words", Type: "same", Source: p.ID, Origin: g.origin},
	}, nil
}

func pipeline(t *testing.T) *stages {
	t.Helper()
	words := []string{"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"}
	var passages []retort.Passage
	for i := range 24 {
		text := fmt.Sprintf("%s %s number%d", words[i%8], words[(3*i+1)%8], i)
		passages = append(passages, retort.Passage{ID: fmt.Sprint("p", i), Text: text})
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	bm25, err := mine.NewBM25(t.Context(), corpus, mine.BM25Options{})
	require.NoError(t, err)
	student, err := encodertest.New(encodertest.Options{})
	require.NoError(t, err)
	dense, err := mine.NewDense(t.Context(), student, corpus, nil)
	require.NoError(t, err)
	training := distill.DefaultOptions()
	training.Schedule.Epochs, training.Schedule.QueriesPerStep = 1, 8
	return &stages{
		Student: student, Corpus: corpus, Generator: fixedGenerator{"extractive"}, Ranker: bm25, Vectors: dense.Vectors(),
		Mining: Mining{Target: MinMax, List: ListShape{DropSource: true, Top: 3, Sample: 2, Depth: 8}, RoundTrip: 3, Gamma: 1, Temperature: .05}, Training: training,
	}
}

func TestPipelineGoesTheWholeWay(t *testing.T) {
	for _, target := range []Target{MinMax, StudentScale} {
		p := pipeline(t)
		p.Mining.Target = target
		stages := map[string]bool{}
		p.events = watch(retort.Events{Stage: func(s retort.Stage) {
			if slices.Contains(runfolder.PipelineStages(), s.Name) && s.Name != retort.StageTrain {
				stages[s.Name] = stages[s.Name] || s.Done == s.Total
			}
		}})
		out, err := p.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[string]bool{runfolder.StageGenerate: true, runfolder.StageMine: true}, stages)
		require.Equal(t, 48, out.Funnel.Generated)
		require.Equal(t, 25, out.Funnel.Distinct, "the query that every passage makes is kept once")
		require.Equal(t, len(out.Lists), out.Funnel.Lists)
		require.Positive(t, out.Training.Steps)
	}
}

func TestListsHoldTargetsWithoutTheSourceOfAnExtractiveQuery(t *testing.T) {
	for _, origin := range []string{"extractive", "a model"} {
		p := pipeline(t)
		p.Generator = fixedGenerator{origin}
		queries, err := p.MakeQueries(t.Context(), nil)
		require.NoError(t, err)
		lists, err := p.MakeLists(t.Context(), queries, nil)
		require.NoError(t, err)
		require.NotEmpty(t, lists)
		sources := 0
		for _, l := range lists {
			require.LessOrEqual(t, len(l.IDs), 5)
			require.InDelta(t, 1, slices.Max(l.Scores), 1e-12)
			if slices.Contains(l.IDs, l.Query.Source) {
				sources++
			}
		}
		require.Equal(t, origin != "extractive", sources > 0)
	}
}

func TestTheTeacherScoresInPlaceOfTheRanker(t *testing.T) {
	p := pipeline(t)
	p.Teacher = teacher.Func(func(_ context.Context, _ retort.Query, passages []retort.Passage) ([]float64, error) {
		scores := make([]float64, len(passages))
		for i := range scores {
			scores[i] = float64(i) // the reverse of the ranker
		}
		return scores, nil
	})
	queries, err := p.MakeQueries(t.Context(), nil)
	require.NoError(t, err)
	lists, err := p.MakeLists(t.Context(), queries, nil)
	require.NoError(t, err)
	for _, l := range lists {
		require.True(t, slices.IsSorted(l.Scores))
	}
}

// A gamma of 0 asks for no change, so the targets are the student's own similarities.
func TestStudentScaleStartsFromTheStudent(t *testing.T) {
	p := pipeline(t)
	p.Mining.Target, p.Mining.Gamma = StudentScale, 0
	queries, err := p.MakeQueries(t.Context(), nil)
	require.NoError(t, err)
	lists, err := p.MakeLists(t.Context(), queries, nil)
	require.NoError(t, err)
	for _, l := range lists {
		q, err := p.Student.Encode(t.Context(), encoder.Query, []string{l.Query.Text})
		require.NoError(t, err)
		for i, id := range l.IDs {
			index, _ := p.Corpus.Index(id)
			var similarity float32
			for j, x := range matrix.Row(q, 0) {
				similarity += x * matrix.Row(p.Vectors, index)[j]
			}
			require.InDelta(t, similarity, l.Scores[i], 1e-5)
		}
	}
}

func TestDrawsDependOnTheSeedOnly(t *testing.T) {
	p := pipeline(t)
	p.Mining.MaxQueries, p.Mining.MaxLists = 12, 5
	var funnel Funnel
	queries, err := p.MakeQueries(t.Context(), &funnel)
	require.NoError(t, err)
	require.Len(t, queries, 12)
	again, err := p.MakeQueries(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, queries, again)
	lists, err := p.MakeLists(t.Context(), queries, &funnel)
	require.NoError(t, err)
	require.LessOrEqual(t, len(lists), 5)
	p.Mining.seed = 2
	other, err := p.MakeQueries(t.Context(), nil)
	require.NoError(t, err)
	require.NotEqual(t, queries, other)
}

// Without sources, all of the user's queries together would have the share of one passage.
func TestTheUsersQueriesAreDrawnAsThoseOfDifferentSources(t *testing.T) {
	p := pipeline(t)
	for i := range 16 {
		text := fmt.Sprintf("where is number%d", i)
		p.Queries = append(p.Queries, retort.Query{ID: fmt.Sprint("own", i), Text: text + " alpha beta gamma delta"})
	}
	p.Mining.MaxLists = 20
	queries, err := p.MakeQueries(t.Context(), nil)
	require.NoError(t, err)
	lists, err := p.MakeLists(t.Context(), queries, nil)
	require.NoError(t, err)
	require.Len(t, lists, 20)
	own := 0
	for _, l := range lists {
		if l.Query.Source == "" {
			own++
		}
	}
	require.Greater(t, own, 3)
}

func TestPipelineRefusesWhatCannotWork(t *testing.T) {
	for want, spoil := range map[string]func(*stages){
		"neither Generator nor Queries": func(p *stages) { p.Generator = nil },
		"Mining.List.Depth":             func(p *stages) { p.Mining.List.Depth = 1 },
		"Mining.List.Top":               func(p *stages) { p.Mining.List.Top = -1 },
		"Mining.Target":                 func(p *stages) { p.Mining.Target = 9 },
		"Mining.Gamma":                  func(p *stages) { p.Mining.Target, p.Mining.Gamma = StudentScale, -1 },
		"Mining.Temperature":            func(p *stages) { p.Mining.Target, p.Mining.Temperature = StudentScale, 0 },
		"no source":                     func(p *stages) { p.Teacher = broken{} },
	} {
		p := pipeline(t)
		spoil(p)
		_, err := p.Run(t.Context())
		require.ErrorContains(t, err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := pipeline(t).Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

type broken struct{}

func (broken) Score(context.Context, retort.Query, []retort.Passage) ([]float64, error) {
	return nil, fmt.Errorf("no source")
}

func TestHeldOutItemsAreTheMeanReciprocalRankOfTheSources(t *testing.T) {
	p := pipeline(t)
	var queries []retort.Query
	for i := range 6 {
		passage, err := p.Corpus.At(4 * i)
		require.NoError(t, err)
		queries = append(queries, retort.Query{ID: fmt.Sprint(i), Text: passage.Text, Source: passage.ID})
	}
	for _, size := range []int{0, 12, 1000} {
		k, err := newHeldOutItems(p.Corpus, queries, size, true)
		require.NoError(t, err)
		for range 2 { // the second time over vectors that were kept
			mrr, err := k.MRR(t.Context(), p.Student)
			require.NoError(t, err)
			require.InDelta(t, 1, mrr, 1e-9, "a text finds itself")
		}
	}
	queries[0].Text, queries[1].Text = queries[1].Text, queries[0].Text // both are now wrong
	k, err := newHeldOutItems(p.Corpus, queries, 0, false)
	require.NoError(t, err)
	mrr, err := k.MRR(t.Context(), p.Student)
	require.NoError(t, err)
	require.Less(t, mrr, 1.0)
	require.GreaterOrEqual(t, mrr, 4.0/6)

	c, err := k.Collection()
	require.NoError(t, err)
	vectors, passages, err := k.encode(t.Context(), p.Student)
	require.NoError(t, err)
	rankings, err := searchAt(t.Context(), vectors, passages, p.Student.Dim())
	require.NoError(t, err)
	run := eval.Run{}
	for i, q := range c.Queries {
		require.Equal(t, queries[i].Text, q.Text)
		for _, h := range rankings[i] {
			passage, err := c.Corpus.At(h.Index)
			require.NoError(t, err)
			run[q.ID] = append(run[q.ID], eval.Hit{ID: passage.ID, Score: h.Score})
		}
	}
	report, err := eval.Evaluate(c.Qrels, run, eval.MRR(10))
	require.NoError(t, err)
	require.InDelta(t, mrr, report.Mean(eval.MRR(10)), 1e-9, "the judged collection of the same queries says the same")

	_, err = newHeldOutItems(p.Corpus, nil, 10, false)
	require.Error(t, err)
	_, err = newHeldOutItems(p.Corpus, []retort.Query{{ID: "q", Source: "nowhere"}}, 10, false)
	require.ErrorContains(t, err, "nowhere")
}

func TestTitlesAreLookedForAmongTextsWithoutTitles(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "a", Title: "apples", Text: "pears and plums"}, {ID: "b", Title: "none", Text: "apples"},
	})
	require.NoError(t, err)
	k, err := newHeldOutItems(corpus, []retort.Query{{ID: "q", Text: "apples", Type: generate.TypeTitle, Source: "a"}}, 2, false)
	require.NoError(t, err)
	student, err := encodertest.New(encodertest.Options{})
	require.NoError(t, err)
	mrr, err := k.MRR(t.Context(), student)
	require.NoError(t, err)
	require.InDelta(t, .5, mrr, 1e-9, "the other passage's text is the title")
}
