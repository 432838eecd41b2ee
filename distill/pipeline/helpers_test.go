package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
)

var topics = []string{
	"sort slice order compare", "file read line scanner", "json encode marshal field", "http server request handler",
	"time parse duration layout", "string split join trim", "channel goroutine wait lock", "error wrap unwrap join",
}

// world is a corpus of 4 passages a topic, and 3 queries a topic with lists of 6 passages: the topic's and two of the
// next. The teacher likes the topic's passages, the first one best. Queries of a topic share the source of the first.
func world(t testing.TB) (*retort.MemoryCorpus, []retort.List) {
	t.Helper()
	corpus, lists, err := worldLists()
	require.NoError(t, err)
	return corpus, lists
}

func worldLists() (*retort.MemoryCorpus, []retort.List, error) {
	var passages []retort.Passage
	for i, topic := range topics {
		words := strings.Fields(topic)
		for j := range 4 {
			passages = append(passages, retort.Passage{
				ID: fmt.Sprintf("p%d.%d", i, j), Title: words[j],
				Text: strings.Repeat(fmt.Sprintf("filler%d %s %s ", j, words[(j+1)%4], words[(j+i)%4]), 1+(i+j)%3),
			})
		}
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		return nil, nil, err
	}
	var lists []retort.List
	for i := range topics {
		for k := range 3 {
			l := retort.List{Query: retort.Query{
				ID: fmt.Sprintf("q%d.%d", i, k), Text: fmt.Sprintf("how to ask%d about topic%d", k, i),
				Source: fmt.Sprintf("p%d.%d", i, k), Origin: "llm",
			}}
			for j := range 4 {
				l.IDs = append(l.IDs, fmt.Sprintf("p%d.%d", i, (j+k)%4))
				l.Scores = append(l.Scores, 1-0.1*float64(j))
			}
			for j := range 2 {
				l.IDs = append(l.IDs, fmt.Sprintf("p%d.%d", (i+1)%len(topics), (j+k)%4))
				l.Scores = append(l.Scores, 0.1*float64(j))
			}
			lists = append(lists, l)
		}
	}
	return corpus, lists, nil
}

func newStudent(t testing.TB) *encodertest.Encoder {
	t.Helper()
	e, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 256, Seed: 5})
	require.NoError(t, err)
	t.Cleanup(func() { require.Zero(t, e.OpenPasses(), "passes left open") })
	return e
}

// quick are options for the world: steps of 5 lists, several micro-batches each, evaluations within the epoch.
func quick() distill.Options {
	o := distill.DefaultOptions()
	o.Towers = distill.Both
	o.Schedule.Epochs, o.Schedule.QueriesPerStep, o.Schedule.LR, o.Memory.MicroBatchTokens, o.Memory.GraphBudget = 4, 5, 0.02, 40, -1
	o.Selection.DevFraction, o.Selection.EvalSteps, o.Selection.Patience = 0.2, 3, 0
	return o
}

func stateOf(t testing.TB, e encoder.Trainable) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, e.SaveState(&b))
	return b.Bytes()
}

func weightsOf(t testing.TB, e encoder.Encoder) distill.Weights {
	t.Helper()
	w, err := distill.ReadWeights(e)
	require.NoError(t, err)
	return w
}

// MakeLists ranks the corpus for the queries, drops those that do not find their source or that the tests exclude, and
// returns scored lists. It reads and writes no Folder. funnel may be nil.
func (p *stages) MakeLists(ctx context.Context, queries []retort.Query, funnel *Funnel) ([]retort.List, error) {
	ctx = encoder.Alone(ctx)
	if err := p.Mining.Validate(); err != nil {
		return nil, err
	}
	j := p.inMemory(funnel)
	queries, err := j.separateQueries(queries)
	if err != nil {
		return nil, err
	}
	return j.lists(ctx, queries)
}

// separateQueries drops what the separation drops.
func (j *job) separateQueries(queries []retort.Query) ([]retort.Query, error) {
	left := queries
	for _, f := range j.separation() {
		if !f.wanted {
			continue
		}
		s, err := f.filter(left)
		// Where there was nothing left to drop MakeQueries has counted the filter already.
		if err == nil && len(s.Dropped) > 0 {
			left, err = j.funnel.Queries(f.name, left, s)
		}
		if err != nil {
			return nil, fmt.Errorf("pipeline: %w", err)
		}
	}
	return left, j.checkSeparated(len(queries), len(left), "queries")
}

// measureAlone measures the sets of the check. It refuses nothing, and reads and writes no Folder.
func (p *stages) measureAlone(ctx context.Context) ([]CheckResult, error) {
	return p.inMemory(nil).measureCheck(encoder.Alone(ctx))
}
