package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
)

// askedWorld is the world with queries that a ranker of words finds passages for.
func askedWorld(t *testing.T) (*retort.MemoryCorpus, []retort.List) {
	t.Helper()
	corpus, lists := world(t)
	for i := range lists {
		words := strings.Fields(topics[i/3])
		lists[i].Query.Text = fmt.Sprintf("how to %s a %s", words[i%3], words[3])
	}
	return corpus, lists
}

// judgedOf are the queries of the world's lists of one topic in other clothes: as they are, and as near-copies.
func judgedOf(lists []retort.List) []retort.Query {
	var judged []retort.Query
	for i, l := range lists[:6] {
		text := l.Query.Text
		if i%2 == 1 {
			text = strings.ToUpper(text) + "\u00a0?"
		}
		judged = append(judged, retort.Query{ID: fmt.Sprint("judged", i), Text: text})
	}
	return judged
}

func trainedOn(lists []retort.List) []string {
	ids := make([]string, len(lists))
	for i, l := range lists {
		ids[i] = l.Query.ID
	}
	return ids
}

// Twenty judged queries once came in through Lists, were trained on, and were then reported on.
func TestJudgedQueriesAreNotTrainedOnThroughAnyDoor(t *testing.T) {
	corpus, lists := askedWorld(t)
	judged := judgedOf(lists)
	queries := queriesOf(lists)
	for name, give := range map[string]func(p *stages){
		"lists":     func(p *stages) { p.Lists = lists },
		"queries":   func(p *stages) { p.Queries, p.Generator = queries, nil },
		"generated": func(p *stages) { p.Generator = givenGenerator(queries) },
		"a recorded run": func(p *stages) {
			p.Generator = givenGenerator(queries)
			dir := t.TempDir()
			folder, err := runfolder.Open(t.Context(), dir, runfolder.Pipeline, nil)
			require.NoError(t, err)
			before := *p
			before.TestQueries, before.Folder, before.Student = nil, folder, newStudent(t)
			_, err = before.Run(t.Context())
			require.NoError(t, err)
			p.Folder = folder
			t.Cleanup(func() { require.NoError(t, folder.Close()) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			bm25, err := mine.NewBM25(t.Context(), corpus, mine.BM25Options{})
			require.NoError(t, err)
			p := &stages{
				Student: newStudent(t), Corpus: corpus, Ranker: bm25, TestQueries: judged,
				Mining: Mining{Target: MinMax, List: ListShape{DropSource: true, Top: 3, Depth: 8}}, Training: quick(),
			}
			p.Training.Selection.DevFraction, p.Training.Selection.EvalSteps = 0, 0
			p.events = watch(retort.LogEvents(slog.New(slog.NewTextHandler(&log, nil))))
			give(p)
			out, err := p.Run(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, out.Lists)
			for _, l := range out.Lists {
				require.False(t, slices.ContainsFunc(queries[:6], func(q retort.Query) bool { return q.Text == l.Query.Text }),
					l.Query.Text)
			}
			c := out.Funnel.TestCopies
			require.NotNil(t, c)
			require.Equal(t, 3, c.Exact)
			require.Equal(t, 3, c.Near)
			require.Len(t, c.IDs, 5, "the first few are named")
			require.Contains(t, log.String(), "queries that copy test queries are not trained on")
			require.Contains(t, log.String(), "exact=3 near=3")
			require.Contains(t, log.String(), c.IDs[0])
		})
	}
}

// givenGenerator returns, for a passage, the given queries that were made from it.
type givenGenerator []retort.Query

func (g givenGenerator) Generate(_ context.Context, p retort.Passage) ([]retort.Query, error) {
	var made []retort.Query
	for _, q := range g {
		if q.Source == p.ID {
			made = append(made, q)
		}
	}
	return made, nil
}

func TestMakeListsLeaveJudgedQueriesOut(t *testing.T) {
	corpus, lists := askedWorld(t)
	bm25, err := mine.NewBM25(t.Context(), corpus, mine.BM25Options{})
	require.NoError(t, err)
	p := &stages{
		Student: newStudent(t), Corpus: corpus, Ranker: bm25, TestQueries: judgedOf(lists),
		Mining: Mining{Target: MinMax, List: ListShape{DropSource: true, Top: 3, Depth: 8}}, Training: quick(),
	}
	p.Training.Selection.DevFraction, p.Training.Selection.EvalSteps = 0, 0
	var funnel Funnel
	made, err := p.MakeLists(t.Context(), queriesOf(lists), &funnel)
	require.NoError(t, err)
	for _, id := range trainedOn(lists[:6]) {
		require.NotContains(t, trainedOn(made), id)
	}
	require.Equal(t, 3, funnel.TestCopies.Exact)
}

func TestNothingButJudgedQueriesIsAnError(t *testing.T) {
	corpus, lists := askedWorld(t)
	bm25, err := mine.NewBM25(t.Context(), corpus, mine.BM25Options{})
	require.NoError(t, err)
	p := stages{
		Student: newStudent(t), Corpus: corpus, Ranker: bm25, TestQueries: judgedOf(lists),
		Mining: Mining{Target: MinMax, List: ListShape{DropSource: true, Top: 3, Depth: 8}}, Training: quick(),
	}
	const want = "is left to train on (3: equals a test query; 3: equals a test query but for case, punctuation or spaces): " +
		"give queries besides those that the student is measured by, which q0.0, q0.1, q0.2, q1.0, q1.1 copy"
	given := p
	given.Lists = lists[:6]
	_, err = given.Run(t.Context())
	require.EqualError(t, err, "pipeline: none of 6 lists "+want)
	asked := p
	asked.Queries = queriesOf(lists[:6])
	_, err = asked.Run(t.Context())
	require.EqualError(t, err, "pipeline: none of 6 queries "+want)
}

// A passage is held out with every query of it, whichever way that came in.
func TestNoListOfAHeldOutPassageIsTrainedOn(t *testing.T) {
	corpus, lists := askedWorld(t)
	lists[2].Query.Source = "" // a person's query: its best passage, p0.2, says what it is of
	lists[3].Query.Origin = "extractive"
	held := map[string]bool{"p0.0": true, "p0.2": true, "p1.1": true}
	p := &stages{Student: newStudent(t), Corpus: corpus, Lists: lists, HeldOut: held, Training: quick()}
	p.Training.Selection.DevFraction, p.Training.Selection.EvalSteps = 0, 0
	out, err := p.Run(t.Context())
	require.NoError(t, err)
	left := trainedOn(out.Lists)
	require.NotContains(t, left, "q0.0", "its source is held out")
	require.NotContains(t, left, "q0.2", "its best passage is held out")
	require.NotContains(t, left, "q1.1")
	require.Contains(t, left, "q0.1", "a held-out passage may be a candidate of other queries")
	require.Contains(t, left, "q1.0", "an extractive query's list has no positive")
	require.Len(t, left, len(lists)-3)
	require.Equal(t, map[mine.Reason]int{reasonHeldOutSource: 2}, out.Funnel.Filters[0].Reasons)
	require.Equal(t, map[mine.Reason]int{reasonHeldOutBest: 1}, out.Funnel.Filters[1].Reasons)

	p.HeldOut, p.TestSources, p.Student = nil, held, newStudent(t)
	out, err = p.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, left, trainedOn(out.Lists), "passages that are relevant to test queries are kept out likewise")
}

func TestNoQueryOfAHeldOutPassageIsMinedFor(t *testing.T) {
	for _, origin := range []string{"extractive", "llm"} {
		p := pipeline(t)
		p.Generator = fixedGenerator{origin}
		p.HeldOut = map[string]bool{"p3": true, "p7": true}
		p.Queries = []retort.Query{{ID: "own", Text: "alpha beta", Source: "p3"}, {ID: "free", Text: "theta zeta number7"}}
		out, err := p.Run(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, out.Lists)
		for _, l := range out.Lists {
			require.False(t, p.HeldOut[l.Query.Source], l.Query.ID)
			require.False(t, p.HeldOut[positiveOf(l)], l.Query.ID)
		}
		require.NotContains(t, trainedOn(out.Lists), "free", "its best passage is held out")
	}
}
