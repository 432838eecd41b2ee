package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/mine"
)

func TestScoreRanksTheCorpusForQueriesAndScoresTheirLists(t *testing.T) {
	dir := runFolder(t)
	score := []string{"score", "-corpus", dir + "/corpus.jsonl", "-teacher", "bm25", "-json"}
	out := succeed(t, append(score, "-queries", dir+"/queries.jsonl", "-depth", "5", "-out", dir+"/lists.jsonl")...)
	requireDocumented(t, []byte(out))
	var r scoreResult
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, 7, r.Kept)
	require.Equal(t, "bm25", r.Teacher)
	lists, err := retort.LoadLists(dir + "/lists.jsonl")
	require.NoError(t, err)
	corpus, err := retort.LoadCorpus(dir + "/corpus.jsonl")
	require.NoError(t, err)
	bm25, err := mine.NewBM25(t.Context(), corpus, mine.BM25Options{})
	require.NoError(t, err)
	pairs := 0
	for _, l := range lists {
		require.LessOrEqual(t, len(l.IDs), 5)
		pairs += len(l.IDs)
		for i, id := range l.IDs {
			index, _ := corpus.Index(id)
			want, err := bm25.Score(l.Query.Text, []int{index})
			require.NoError(t, err)
			require.Equal(t, want[0], l.Scores[i])
		}
	}
	require.Equal(t, pairs, r.Pairs)

	// The same lists, scored again on another scale, are what distill takes.
	text := succeed(
		t,
		append(score[:len(score)-1:len(score)-1], "-lists", dir+"/lists.jsonl", "-scale", "min-max", "-out",
			dir+"/scaled.jsonl")...)
	require.Regexp(t, `^\S+scaled\.jsonl: 7 lists, \d+ pairs by bm25, \d+ s\nmin-max of each list\n$`, text)
	scaled, err := loadLists(dir + "/scaled.jsonl")
	require.NoError(t, err)
	require.Equal(t, lists[0].IDs, scaled[0].IDs)
	text = succeed(
		t,
		append(score[:len(score)-1:len(score)-1], "-lists", dir+"/lists.jsonl", "-scale", "percentile", "-out",
			dir+"/scaled.jsonl")...)
	require.Regexp(t, `percentile min-max of \d+ scores in 7 lists: `, text)
	_, err = loadLists(dir + "/scaled.jsonl")
	require.NoError(t, err)
}

// scoreFake is "retort score" with a small model in memory.
func scoreFake(t *testing.T, a scoreArgs) (*scoreResult, []retort.List) {
	t.Helper()
	a.model.dir = "memory"
	a.model.options.Precision = "fp32"
	a.scale, a.analyzer, a.teacher.fuse = "none", "english", "z"
	require.NoError(t, a.check())
	open := func() (student, error) {
		model, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 64, Seed: 3})
		return fakeModel{model}, err
	}
	r, err := a.score(t.Context(), open, progress.New(progress.Quiet))
	require.NoError(t, err)
	lists, err := retort.LoadLists(a.out)
	require.NoError(t, err)
	return r, lists
}

func TestScoreDropsAndWeighsListsByTheAgreementOfItsTeachers(t *testing.T) {
	dir := runFolder(t)
	a := scoreArgs{
		corpus: dir + "/corpus.jsonl", queries: dir + "/queries.jsonl", depth: 10, out: dir + "/all.jsonl",
		teacher: teacherFlags{spec: "bm25+student"},
	}
	r, all := scoreFake(t, a)
	require.Len(t, all, 7)
	require.Equal(t, "bm25 and student, fused by z-scores", r.Teacher)

	// Given as lists the same passages get the same scores, though only they are encoded.
	a.lists, a.queries, a.out = a.out, "", dir+"/again.jsonl"
	_, again := scoreFake(t, a)
	for i := range all {
		require.InDeltaSlice(t, all[i].Scores, again[i].Scores, 1e-5)
	}

	a.teacher.agreementWeight, a.out = true, dir+"/weighed.jsonl"
	_, weighed := scoreFake(t, a)
	var weights []float64
	for _, l := range weighed {
		require.Greater(t, l.Weight, 0.)
		require.LessOrEqual(t, l.Weight, 1.)
		weights = append(weights, l.Weight)
	}
	least := (min(weights[0], weights[1], weights[2]) + max(weights[0], weights[1], weights[2])) / 2
	a.teacher.minAgreement, a.out = least, dir+"/agreed.jsonl"
	r, agreed := scoreFake(t, a)
	want := 0
	for _, w := range weights {
		if w >= least {
			want++
		}
	}
	require.Len(t, agreed, want)
	require.Equal(t, map[mine.Reason]int{"the teachers disagree": 7 - want}, r.Dropped)
	require.Equal(t, want, r.Kept)
}

func TestDistillEndsWhereTheTeacherIsNotBetter(t *testing.T) {
	dir := runFolder(t)
	// The model as its own teacher has nothing to teach.
	args := fakeArgs(t, dir, "-teacher", "student", "-queries", dir+"/queries.jsonl", "-qrels", dir+"/qrels/test.tsv")
	_, log, err := distillFake(t, t.Context(), args...)
	require.Equal(t, exitNothing, exitCode(t.Context(), err), "%v", err)
	require.Regexp(t,
		`(?m)^teacher (\.\d{3}) against student \.\d{3} nDCG@10 on 6 judged queries \(p 1\.000\): there is nothing to learn$`,
		log)
	require.Regexp(t, `(?m)^teacher .* nDCG@10 on \d+ held-out queries \(keywords\)`, log)
	require.ErrorContains(t, err, "there is nothing to learn")
	_, statErr := os.Stat(filepath.Join(dir, "run", "generate.jsonl"))
	require.ErrorIs(t, statErr, os.ErrNotExist, "no query is made")

	_, _, err = distillFake(t, t.Context(), append(args, "-force")...)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "run", "results.json"))
	require.Contains(t, readString(t, filepath.Join(dir, "run", "results.json")), `"check"`)

	_, log, err = distillFake(t, t.Context(), append(args, "-check-queries", "0", "-out", dir+"/ungated")...)
	require.NoError(t, err)
	require.NotContains(t, log, "nDCG@10 on")
}

func TestDistillTakesAnEnsembleAndALanguageModel(t *testing.T) {
	dir := runFolder(t)
	url, answered := chatServer(t, nil)
	args := fakeArgs(t, dir, "-generator", "both", "-llm-url", url, "-llm-model", "tiny", "-llm-types", "question",
		"-llm-passages", "20", "-teacher", "bm25+.5*student", "-min-agreement", ".3", "-round-trip", "0", "-queries",
		dir+"/queries.jsonl", "-qrels", dir+"/qrels/test.tsv")
	out, _, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^queries: \d+ of \d+ answers kept.*; \d+ tokens read, \d+ written, \d+ s, cost 0\.0\d+$`, out)
	require.Contains(t, readString(t, dir+"/run/generate.jsonl"), `"type":"question"`)
	require.Contains(t, readString(t, dir+"/run/results.json"), `"costs"`)
	page := readString(t, dir+"/run/report.html")
	require.Contains(t, page, "bm25 and 0.5 x student, fused by z-scores")
	require.Contains(t, page, "answers kept")
	require.Contains(t, page, "there is something to learn")

	before := answered.Load()
	again, log, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.NotContains(t, log, "redone")
	require.LessOrEqual(t, answered.Load()-before, int64(1), "only Check asks")
	require.Contains(t, again, "answers kept")
	_, log, err = distillFake(t, t.Context(), append(args, "-teacher", "bm25+.6*student")...)
	require.NoError(t, err)
	require.Regexp(t, `a stage is redone: stage score`, log, "other weights are another teacher")
}

func TestScoreAsksAServerOncePerPair(t *testing.T) {
	dir := runFolder(t)
	var pairs atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Texts []string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		var scores []map[string]any
		for i, text := range body.Texts {
			scores = append(scores, map[string]any{"index": i, "score": float64(len(text))})
		}
		pairs.Add(int64(len(body.Texts)))
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(scores)
	}))
	t.Cleanup(server.Close)
	args := []string{
		"score", "-corpus", dir + "/corpus.jsonl", "-queries", dir + "/queries.jsonl", "-depth", "5", "-out",
		dir + "/lists.jsonl",
	}
	out := succeed(t, append(args, "-teacher", "rerankapi:tei:"+server.URL+"#length")...)
	require.Regexp(t, `(?m)^scores of rerankapi length: \d+ pairs in \d+ s`, out)
	lists, err := retort.LoadLists(dir + "/lists.jsonl")
	require.NoError(t, err)
	corpus, err := retort.LoadCorpus(dir + "/corpus.jsonl")
	require.NoError(t, err)
	want := 0
	for _, l := range lists {
		want += len(l.IDs)
		for i, id := range l.IDs {
			index, _ := corpus.Index(id)
			p, err := corpus.At(index)
			require.NoError(t, err)
			require.EqualValues(t, len(p.Content()), l.Scores[i])
		}
	}
	before := pairs.Load()
	require.LessOrEqual(t, before, int64(want+2), "each pair once, and Check's")
	succeed(t, append(args, "-teacher", "bm25+rerankapi:tei:"+server.URL+"#length")...)
	require.LessOrEqual(t, pairs.Load()-before, int64(2), "the scores are kept")
}

func TestScoreStopsWhenTheContextEnds(t *testing.T) {
	dir := runFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, _ := cli(ctx, "score", "-corpus", dir+"/corpus.jsonl", "-queries", dir+"/queries.jsonl", "-teacher", "bm25",
		"-out", dir+"/lists.jsonl")
	require.Equal(t, exitInterrupted, code)
	require.NotContains(t, names(t, dir), "lists.jsonl")
}
