package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/mine"
)

// A measurement that was interrupted goes on where it stopped, says how far it is, and ends in the same bytes.
func TestMeasurementGoesOnWhereItStopped(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir, "-queries", dir+"/queries.jsonl", "-qrels", dir+"/qrels/test.tsv")
	_, log, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.Regexp(t, `measure before +0/18\n(.*\n)*measure before +18/18`, log, "six queries, three systems")
	require.Regexp(t, `measure after +6/6`, log)
	before := filepath.Join(dir, "run", "before.jsonl")
	want := readString(t, before)

	// As Ctrl-C leaves it: two systems are done, and one query of the third.
	lines := bytes.SplitAfter([]byte(want), []byte("\n"))
	damaged := bytes.Clone([]byte(want))
	damaged[len(bytes.Join(lines[:13], nil))+5] ^= 1
	require.NoError(t, os.WriteFile(before, damaged, 0o600))
	succeed(t, "repair", filepath.Join(dir, "run"))
	require.Regexp(t, `before +interrupted +13 .*goes on`, succeed(t, "status", filepath.Join(dir, "run")))
	_, log, err = distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.Regexp(t, `measure before +18/18`, log)
	require.Equal(t, want, readString(t, before))
}

// firstRanker finds the first passage for every query and remembers how many it was asked.
type firstRanker struct{ asked []int }

func (r *firstRanker) Search(_ context.Context, queries []retort.Query, _ int) ([][]mine.Hit, error) {
	r.asked = append(r.asked, len(queries))
	hits := make([][]mine.Hit, len(queries))
	for i := range hits {
		hits[i] = []mine.Hit{{Index: 0, Score: 1}}
	}
	return hits, nil
}

func TestMeasurementAsksForNoBlockTwice(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "p", Text: "text"}})
	require.NoError(t, err)
	c := &eval.Collection{Corpus: corpus, Qrels: eval.Qrels{}}
	for i := range 2*measureBlock + 9 {
		q := retort.Query{ID: fmt.Sprintf("q%03d", i), Text: "text"}
		c.Queries = append(c.Queries, q)
		c.Qrels[q.ID] = map[string]int{"p": 1}
	}
	for have, asked := range map[int][]int{
		0: {measureBlock, measureBlock, 9}, measureBlock: {measureBlock, 9}, measureBlock + 3: {measureBlock, 9},
		2*measureBlock + 8: {9}, 2*measureBlock + 9: nil,
	} {
		ranker := &firstRanker{}
		emitted := have
		m := &measurement{stage: progress.New(progress.Quiet).Stage("measure", 0), have: have, out: func(r any) error {
			require.Equal(t, fmt.Sprintf("q%03d", emitted), r.(results.Record).Query)
			emitted++
			return nil
		}}
		require.NoError(t, m.system(t.Context(), judgedSet{"set", "", c}, "bm25", ranker))
		require.Equal(t, asked, ranker.asked, have)
		require.Equal(t, len(c.Queries), emitted)
	}
}
