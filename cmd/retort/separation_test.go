package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/internal/results"
)

func writeIn(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// judgedLists are lists of the judged queries of runFolder, every second one as a near-copy.
func judgedLists(t *testing.T, dir string) string {
	t.Helper()
	queries, err := retort.LoadQueries(filepath.Join(dir, "queries.jsonl"))
	require.NoError(t, err)
	var lists strings.Builder
	for i, q := range queries[:6] {
		text := q.Text
		if i%2 == 1 {
			text = strings.ToUpper(text) + " ?"
		}
		fmt.Fprintf(&lists, `{"query":{"_id":"l%d","text":%q},"ids":["p00","p10","p20"],"scores":[1,0.5,0]}`+"\n", i, text)
	}
	return lists.String()
}

const otherLists = `{"query":{"_id":"other1","text":"open it at once"},"ids":["p00","p10","p20"],"scores":[1,0.5,0]}
{"query":{"_id":"other2","text":"sort them by name"},"ids":["p21","p22"],"scores":[0.25,1]}
`

func TestDistillDoesNotTrainOnJudgedQueriesOfLists(t *testing.T) {
	for name, args := range map[string][]string{
		"judged here":         {"-queries", "DIR/queries.jsonl", "-qrels", "DIR/qrels/test.tsv"},
		"judged later":        {"-test-queries", "DIR/queries.jsonl", "-keep", "last"},
		"judged by retention": {"-retention", "DIR"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := runFolder(t)
			writeIn(t, dir, "lists.jsonl", judgedLists(t, dir)+otherLists)
			full := fakeArgs(t, dir, strings.Split(strings.ReplaceAll(strings.Join(args, "\n"), "DIR", dir), "\n")...)
			_, log, err := distillFake(t, t.Context(), append(full, "-lists", dir+"/lists.jsonl")...)
			require.NoError(t, err)
			require.Contains(t, log, "queries that copy test queries are not trained on: exact 3, near 3, ids l0 l1 l2 l3 l4")
			var figures struct {
				Funnel   pipeline.Funnel
				Training distill.Result
			}
			require.NoError(t, json.Unmarshal([]byte(readString(t, dir+"/run/results.json")), &figures))
			require.Equal(t, &pipeline.TestCopies{Exact: 3, Near: 3, IDs: []string{"l0", "l1", "l2", "l3", "l4"}},
				figures.Funnel.TestCopies)
			require.LessOrEqual(t, figures.Training.TrainLists, 2)
			require.Positive(t, figures.Training.TrainLists)

			writeIn(t, dir, "lists.jsonl", judgedLists(t, dir))
			_, _, err = distillFake(t, t.Context(), append(full, "-lists", dir+"/lists.jsonl")...)
			require.ErrorContains(t, err, "none of 6 lists is left to train on (3: equals a test query; "+
				"3: equals a test query but for case, punctuation or spaces): give queries besides those that the student is measured by, which l0, l1")
		})
	}
}

func TestScoreAndTrainTeacherLeaveTestQueriesOut(t *testing.T) {
	dir := runFolder(t)
	lists := writeIn(t, dir, "lists.jsonl", judgedLists(t, dir)+otherLists)
	const notice = "dropped 3 exact and 3 near-copies of queries in DIR/queries.jsonl: l0 l1 l2 l3 l4"
	want := strings.ReplaceAll(notice, "DIR", dir)

	out := filepath.Join(dir, "scored.jsonl")
	code, stdout, stderr := cli(t.Context(), "score", "-corpus", dir+"/corpus.jsonl", "-lists", lists, "-test-queries",
		dir+"/queries.jsonl",
		"-teacher", "bm25", "-out", out)
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, want)
	require.Contains(t, stdout, "2 lists")
	scored, err := retort.LoadLists(out)
	require.NoError(t, err)
	require.Len(t, scored, 2)

	code, stdout, stderr = cli(t.Context(), "score", "-corpus", dir+"/corpus.jsonl", "-queries", dir+"/queries.jsonl",
		"-test-queries", dir+"/queries.jsonl", "-teacher", "bm25", "-out", out)
	require.Equal(t, exitFailure, code, stdout)
	require.Contains(t, stderr, "all 7 queries are copies of test queries")

	corpus, err := retort.LoadCorpus(dir + "/corpus.jsonl")
	require.NoError(t, err)
	var log strings.Builder
	r := &trainTeacherResult{}
	a := trainTeacherArgs{corpus: dir + "/corpus.jsonl", lists: lists, tested: dir + "/queries.jsonl"}
	train, dev, err := a.examples(t.Context(), corpus, r, progress.New(&log))
	require.NoError(t, err)
	require.Len(t, train, 2)
	require.Empty(t, dev)
	require.Contains(t, log.String(), want)
	require.Equal(t, 3, r.Dropped["equals a test query"])
}

// What was held out is said by the records of the run: no list of its passages was trained on.
func TestDistillHoldsWholePassagesOut(t *testing.T) {
	dir := runFolder(t)
	out, _, err := distillFake(t, t.Context(), fakeArgs(t, dir)...)
	require.NoError(t, err)
	require.Contains(t, out, "MRR@10 of queries of 10 held-out passages")
	var figures struct {
		Funnel pipeline.Funnel
		Test   *struct{ Queries int }
	}
	require.NoError(t, json.Unmarshal([]byte(readString(t, dir+"/run/results.json")), &figures))
	require.Equal(t, 10, figures.Test.Queries, "half of the 20 passages that are held out")
	records, err := results.Load(filepath.Join(dir, "run"))
	require.NoError(t, err)
	require.Len(t, results.Of(records, "held-out items", results.After), 10)
	held := 0
	for _, f := range figures.Funnel.Filters {
		held += f.Reasons["source is held out"]
	}
	require.Positive(t, held)
}

func TestCorporaOfOtherLanguagesAndTinyOnes(t *testing.T) {
	chinese := `{"_id":"a","title":"水壶","text":"白醋能去除水壶里的水垢，之后请用清水冲洗。"}
{"_id":"b","title":"冰箱","text":"封条老化以后会漏冷气，请及时更换新的封条。"}
`
	mixed := chinese + `{"_id":"c","title":"إبريق","text":"املأ الإبريق بالخل ثم اغله واتركه ساعة"}
{"_id":"d","title":"주전자","text":"주전자 안쪽의 물때는 식초로 지울 수 있습니다"}
{"_id":"e","title":"Kocher","text":"Füllen Sie den Kocher mit Essig und lassen Sie ihn stehen."}
`
	tiny := `{"_id":"a","title":"Kettle","text":"Vinegar removes the limescale from the kettle. Rinse it with water."}
{"_id":"b","title":"Toaster","text":"Empty the tray for crumbs, and wipe the case with a damp cloth."}
`
	for _, c := range []struct {
		name, corpus string
		args         []string
		notices      []string
		err          string
	}{
		{
			"Chinese", chinese, nil,
			[]string{"languages: chinese 100%: analyzer cjk"},
			"nothing can choose and test the best student, since every type of query is trained on or the corpus gives too few of it: " +
				"set -queries and -qrels, or -keep last to take the last student untested",
		},
		{"Chinese, the last model", chinese, []string{"-keep", "last", "-force"}, nil, ""},
		{"several languages", mixed, nil, []string{"languages: chinese 40%"}, "nothing can choose and test the best student"},
		{"a tiny corpus", tiny, nil, nil, "nothing can choose and test the best student"},
		{"a tiny corpus, the last model", tiny, []string{"-keep", "last"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeIn(t, dir, "corpus.jsonl", c.corpus)
			args := fakeArgs(t, dir)
			args = append(args, c.args...)
			_, log, err := distillFake(t, t.Context(), args...)
			for _, n := range c.notices {
				require.Contains(t, log, n)
			}
			if c.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.err)
		})
	}

	dir := t.TempDir()
	corpus := writeIn(t, dir, "corpus.jsonl", chinese)
	code, _, stderr := cli(t.Context(), "generate", "-corpus", corpus, "-out", dir+"/queries.jsonl")
	require.Zero(t, code, stderr)
	code, _, stderr = cli(t.Context(), "search", "-corpus", corpus, "-bm25", "水垢")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "languages: chinese 100%: analyzer cjk")
}
