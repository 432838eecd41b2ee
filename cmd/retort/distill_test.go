package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/loss"
)

// runFolder writes a corpus of sentences that differ in their words, with a few judged queries.
func runFolder(t *testing.T) string {
	t.Helper()
	things := []string{"file", "server", "string", "number", "channel", "slice", "map", "clock"}
	acts := []string{"opens", "closes", "sorts", "copies", "counts", "prints"}
	var corpus, queries, qrels strings.Builder
	for i, act := range acts {
		for j, thing := range things {
			id := fmt.Sprintf("p%d%d", i, j)
			fmt.Fprintf(&corpus,
				`{"_id":%q,"title":"","text":"It %s the %s that the caller names. The %s is then ready for other callers."}`+"\n",
				id, act, thing, thing)
			if i == j {
				fmt.Fprintf(&queries, `{"_id":"q%d","text":"how it %s a %s"}`+"\n", i, act, thing)
				fmt.Fprintf(&qrels, "q%d\t%s\t1\n", i, id)
			}
		}
	}
	fmt.Fprintln(&queries, `{"_id":"unjudged","text":"copies of a map"}`)
	return collection(
		t,
		map[string]string{
			"corpus.jsonl": corpus.String(), "queries.jsonl": queries.String(), "qrels/test.tsv": qrels.String(),
		},
	)
}

// fakeModel stands for a model of LibTorch.
type fakeModel struct{ *encodertest.Encoder }

func (fakeModel) Close() error { return nil }

// distillFake is "retort distill" with a small model in memory, seeded by the model's folder. It returns what is
// printed.
func distillFake(t *testing.T, ctx context.Context, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	a, err := parseDistill(args)
	require.NoError(t, err)
	require.NoError(t, a.check())
	var out, log bytes.Buffer
	j := newJob(a.distillFlags, &log)
	j.settings = a.values()
	open := func() (student, error) {
		seed, err := os.ReadFile(filepath.Join(a.model.dir, "seed"))
		if err != nil {
			return nil, err
		}
		model, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 64, Seed: uint64(len(seed))})
		return fakeModel{model}, err
	}
	outcome, err := j.do(ctx, func() error { return j.load(ctx) }, open)
	if err == nil {
		err = j.printOutcome(&out, outcome)
	}
	return out.String(), log.String(), err
}

// fakeArgs are a command line of distillFake in a folder of runFolder's, which gets the model.
func fakeArgs(t *testing.T, dir string, more ...string) []string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "model"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model", "seed"), []byte("x"), 0o600))
	return append(
		[]string{
			"-corpus", dir + "/corpus.jsonl", "-model", dir + "/model", "-out", dir + "/run", "-epochs", "2", "-batch", "8",
		},
		more...)
}

func TestBadInputToDistillIsNamed(t *testing.T) {
	const good = "distill -corpus DIR/corpus.jsonl -model DIR/none -out DIR/run"
	for _, c := range []struct {
		name  string
		files map[string]string
		args  string
		code  int
		want  string
	}{
		{"no corpus", nil, "distill -model DIR -out DIR/run", exitUsage, "-corpus"},
		{"no folder", nil, "distill -corpus DIR/corpus.jsonl -model DIR", exitUsage, "-out"},
		{"unknown towers", nil, good + " -towers passage", exitUsage, "-towers"},
		{"unknown type", nil, good + " -types sentence,haiku", exitUsage, `no type "haiku"`},
		{"unknown keep", nil, good + " -keep worst", exitUsage, "-keep"},
		{"unknown loss", nil, good + " -loss mse", exitUsage, `-loss is "mse", want kl or paper`},
		{"unknown target", nil, good + " -target softmax", exitUsage, `-target is "softmax", want min-max or student-scale or percentile`},
		{
			"paper's loss of another target", nil, good + " -loss paper -target student-scale", exitUsage,
			"-loss paper needs scores in [0,1], and -target student-scale gives others: omit -target, or use -target percentile or min-max",
		},
		{"a width that is no number", nil, good + " -matryoshka 8,x", exitUsage, "want widths separated by commas, such as 384,256,128,64"},
		{"widths that ascend", nil, good + " -matryoshka 4,8", exitUsage, "-matryoshka: 8 follows 4, want distinct widths, the largest first"},
		{"a width of nothing", nil, good + " -matryoshka 8,0", exitUsage, "-matryoshka: 0, want at least 1"},
		{"no width of the vectors", nil, good + " -dim -1", exitUsage, "-dim is -1, want at least 0"},
		{"judgements without queries", nil, good + " -qrels DIR/qrels/test.tsv", exitUsage, "-qrels needs -queries"},
		{"no such model", nil, good, exitFailure, "DIR/none"},
		{"empty corpus", map[string]string{"corpus.jsonl": ""}, good, exitFailure, "DIR/corpus.jsonl: no records"},
		{"malformed corpus", map[string]string{"corpus.jsonl": "{\n"}, good, exitFailure, "DIR/corpus.jsonl:1: malformed JSON"},
		{
			"list with a score too few",
			map[string]string{"lists.jsonl": `{"query":{"_id":"q","text":"t"},"ids":["a","b"],"scores":[1]}`},
			good + " -lists DIR/lists.jsonl", exitFailure, `DIR/lists.jsonl:1: list of query "q" has 2 ids and 1 scores`,
		},
		{
			"list with scores of another scale",
			map[string]string{"lists.jsonl": `{"query":{"_id":"q","text":"t"},"ids":["a","b"],"scores":[1,17.5]}`},
			good + " -lists DIR/lists.jsonl", exitFailure, `DIR/lists.jsonl: list of query "q" has score 17.5 for passage "b": want scores in [0,1]`,
		},
		{
			"paper's loss of lists with scores of another scale",
			map[string]string{"lists.jsonl": `{"query":{"_id":"q","text":"t"},"ids":["a","b"],"scores":[-1,1]}`},
			good + " -loss paper -lists DIR/lists.jsonl", exitFailure, `DIR/lists.jsonl: list of query "q" has score -1 for passage "a": want scores in [0,1]`,
		},
		{
			"judgements of unknown passages",
			map[string]string{"qrels/test.tsv": "q1\tgone\t1\n"},
			good + " -queries DIR/queries.jsonl -qrels DIR/qrels/test.tsv", exitFailure, `not in the corpus ("gone")`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := collection(t, c.files)
			code, stdout, stderr := cli(t.Context(), strings.Fields(strings.ReplaceAll(c.args, "DIR", dir))...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, strings.ReplaceAll(c.want, "DIR", dir))
			require.Empty(t, stdout)
			require.NotContains(t, names(t, dir), "run", "nothing is left behind")
		})
	}
}

// The run would remove them before it reads them again.
func TestDistillRefusesTheFilesOfItsOwnRun(t *testing.T) {
	dir := runFolder(t)
	_, _, err := distillFake(t, t.Context(), fakeArgs(t, dir)...)
	require.NoError(t, err)
	for _, change := range [][]string{
		{"-model", dir + "/run/student"}, {"-model", dir + "/run/../run/model/"}, {"-corpus", dir + "/run/corpus.jsonl"},
	} {
		args := append(append([]string{"distill"}, fakeArgs(t, dir)...), change...)
		code, _, stderr := cli(t.Context(), args...)
		require.Equal(t, exitUsage, code, stderr)
		require.Contains(t, stderr, change[0]+" "+change[1]+" is an output of the run "+dir+"/run: choose another -out")
	}
	a, err := parseDistill(
		append(fakeArgs(t, dir), "-model", dir+"/run/model", "-corpus", dir+"/run/corpus.jsonl", "-out", dir+"/next"),
	)
	require.NoError(t, err)
	require.NoError(t, a.check())
}

func TestDistillKeepsEveryStageAndGoesOn(t *testing.T) {
	for name, flags := range map[string]string{
		"query": "", "both": "-towers both", "judged": "-queries DIR/queries.jsonl -qrels DIR/qrels/test.tsv", "last": "-keep last",
		"judged, both": "-towers both -queries DIR/queries.jsonl -qrels DIR/qrels/test.tsv",
	} {
		t.Run(name, func(t *testing.T) {
			dir := runFolder(t)
			args := fakeArgs(t, dir, strings.Fields(strings.ReplaceAll(flags, "DIR", dir))...)
			out, _, err := distillFake(t, t.Context(), args...)
			require.NoError(t, err)
			require.Contains(t, out, filepath.Join(dir, "run", "model"))
			again, log, err := distillFake(t, t.Context(), args...)
			require.NoError(t, err)
			seconds := regexp.MustCompile(`, \d+ s\n`)
			require.Equal(t, seconds.ReplaceAllString(out, ""), seconds.ReplaceAllString(again, ""))
			require.NotContains(t, log, "redone")
			require.NotContains(t, log, "train ", "nothing is trained again")
			require.NotContains(t, log, "encode passages", "nothing is encoded again")

			records, err := results.Load(filepath.Join(dir, "run"))
			require.NoError(t, err)
			want := []string{"held-out items"}
			switch {
			case strings.Contains(name, "judged"):
				want = []string{"judged"}
				require.Len(t, results.Of(records, "judged", results.Teacher), 6)
				require.Len(t, results.Of(records, "judged", results.BM25), 6)
			case name == "last":
				want = nil
			}
			require.Equal(t, want, results.Sets(records))
			for _, set := range want {
				require.Equal(t, len(results.Of(records, set, results.Before)), len(results.Of(records, set, results.After)))
			}
			figures, err := os.ReadFile(filepath.Join(dir, "run", "results.json"))
			require.NoError(t, err)
			require.Equal(t, name != "last", strings.Contains(string(figures), "chosen_by"))
			m, err := runfolder.ReadManifest(filepath.Join(dir, "run"), runfolder.Pipeline)
			require.NoError(t, err)
			require.Equal(t, "2", m.Settings["epochs"])
			require.Len(t, m.Inputs["corpus"], 64)
			require.EqualValues(t, 1, m.Seed)
		})
	}
}

func TestASecondDistillOfARunIsRefused(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir)
	held, err := runfolder.Open(t.Context(), filepath.Join(dir, "run"), runfolder.Pipeline, nil)
	require.NoError(t, err)
	_, _, err = distillFake(t, t.Context(), args...)
	require.EqualError(t, err,
		fmt.Sprintf("the run %s/run is in use by process %d: wait for it, or take another folder", dir, os.Getpid()))
	require.NoError(t, held.Close())
	_, _, err = distillFake(t, t.Context(), args...)
	require.NoError(t, err)
}

func TestDistillReportsDamageAndRepairRemovesIt(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir)
	run := filepath.Join(dir, "run")
	_, _, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	whole, err := os.ReadFile(run + "/mine.jsonl")
	require.NoError(t, err)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	damaged := bytes.Clone(whole)
	damaged[len(lines[0])+12] ^= 1
	require.NoError(t, os.WriteFile(run+"/mine.jsonl", damaged, 0o600))
	_, _, err = distillFake(t, t.Context(), args...)
	require.ErrorContains(t, err,
		fmt.Sprintf("%s/mine.jsonl:2: record at byte offset %d: checksum does not match", run, len(lines[0])))
	require.ErrorContains(t, err, `run "retort repair `+run+`"`)

	out := succeed(t, "repair", run)
	require.Equal(
		t,
		fmt.Sprintf("%s/mine.jsonl:2: cut at byte offset %d: 1 records kept, %d to be redone\n", run, len(lines[0]),
			len(lines)-2),
		out,
	)
	require.Equal(t, "nothing to repair in "+run+"\n", succeed(t, "repair", run))
	require.Regexp(t, `mine +interrupted +1 .* resumed`, succeed(t, "status", run))
	_, log, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.NotContains(t, log, "redone", "the same came out, so what reads it stays")
	now, err := os.ReadFile(run + "/mine.jsonl")
	require.NoError(t, err)
	require.Equal(t, whole, now)

	code, _, stderr := cli(t.Context(), "repair", dir)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, dir+" is not a run folder")
}

// metricSteps are the steps that a CSV of RUN/metrics has lines of.
func metricSteps(t *testing.T, run, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(run, "metrics", name))
	require.NoError(t, err)
	var steps []string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		step, _, _ := strings.Cut(line, ",")
		steps = append(steps, step)
	}
	return steps
}

func TestDistillWritesMetricsOfTheTrainingThatTheRunHolds(t *testing.T) {
	dir := runFolder(t)
	run := filepath.Join(dir, "run")
	args := fakeArgs(t, dir, "-queries", dir+"/queries.jsonl", "-qrels", dir+"/qrels/test.tsv", "-max-lists", "20")
	_, _, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.Equal(t, []string{"step", "1", "2", "3", "4", "5", "6"}, metricSteps(t, run, "steps.csv"))
	require.Equal(t, []string{"step", "0", "3", "6"}, metricSteps(t, run, "evaluations.csv"))
	events, err := filepath.Glob(filepath.Join(run, "metrics", "events.out.tfevents.*"))
	require.NoError(t, err)
	require.Len(t, events, 1)

	// Another loss has other columns.
	_, _, err = distillFake(t, t.Context(), append(args, "-target", "min-max", "-epochs", "1")...)
	require.NoError(t, err)
	require.Equal(t, []string{"step", "1", "2", "3"}, metricSteps(t, run, "steps.csv"))
}

func TestTheLossChoosesItsTargetUnlessOneIsNamed(t *testing.T) {
	paper, kl := loss.Paper(), loss.ListwiseKL{}
	for _, c := range []struct {
		args    string
		target  pipeline.Target
		loss    loss.Loss
		teacher string
	}{
		{"", pipeline.StudentScale, nil, "bm25"},
		{"-loss kl", pipeline.StudentScale, nil, "bm25"},
		{"-loss paper", pipeline.PercentileMinMax, paper, "bm25+student"},
		{"-loss paper -target min-max", pipeline.MinMax, paper, "bm25+student"},
		{"-loss paper -lists lists.jsonl -target student-scale", pipeline.StudentScale, paper, "bm25"}, // lists have targets of their own
		{"-target percentile", pipeline.PercentileMinMax, kl, "bm25+student"},
		{"-target min-max", pipeline.MinMax, kl, "bm25+student"},
		{"-lists lists.jsonl", pipeline.StudentScale, kl, "bm25"},
	} {
		a, err := parseDistill(append([]string{"-corpus", "c", "-model", "m", "-out", "o"}, strings.Fields(c.args)...))
		require.NoError(t, err)
		require.NoError(t, a.check(), c.args)
		r := a.recipe()
		if a.lists != "" {
			r.Lists = []retort.List{}
		}
		r = r.WithDefaults()
		require.Equal(t, c.target, r.Mining.Target, c.args)
		require.Equal(t, c.loss, r.Training.Loss, c.args)
		require.Equal(t, reflect.DeepEqual(c.loss, loss.Loss(paper)), r.Training.CountDuplicates, c.args)
		require.Equal(t, c.teacher, a.usualTeacher(), c.args)
		require.Equal(t, c.target.String(), a.taken()["target"], c.args)
	}
}

func TestAnotherLossRedoesTrainingOnly(t *testing.T) {
	redone := regexp.MustCompile(`(?m)^a stage is redone: stage (\w+)`)
	for _, towers := range []string{"query", "both"} {
		dir := runFolder(t)
		args := fakeArgs(t, dir, "-towers", towers, "-queries", dir+"/queries.jsonl", "-keep", "last", "-check-queries", "0")
		_, log, err := distillFake(t, t.Context(), append(args, "-target", "percentile")...)
		require.NoError(t, err)
		require.NotContains(t, log, "extractive queries have no positive")
		lists, err := retort.LoadLists(filepath.Join(dir, "run", "filter.jsonl"))
		require.NoError(t, err)
		perfect, worst := 0, 0 // unlike with min-max not every list has both
		for _, l := range lists {
			require.GreaterOrEqual(t, slices.Min(l.Scores), 0.0)
			require.LessOrEqual(t, slices.Max(l.Scores), 1.0)
			perfect, worst = perfect+count(l.Scores, 1), worst+count(l.Scores, 0)
		}
		require.Positive(t, perfect)
		require.Positive(t, worst)
		require.Less(t, min(perfect, worst), len(lists))
		before, err := os.ReadFile(filepath.Join(dir, "run", "filter.jsonl"))
		require.NoError(t, err)

		_, log, err = distillFake(t, t.Context(), append(args, "-loss", "paper")...)
		require.NoError(t, err)
		for _, match := range redone.FindAllStringSubmatch(log, -1) {
			require.Contains(t, []string{"train", "evaluate"}, match[1], log)
		}
		require.Contains(t, log, "a stage is redone: stage train", "its settings were another loss")
		after, err := os.ReadFile(filepath.Join(dir, "run", "filter.jsonl"))
		require.NoError(t, err)
		require.Equal(t, string(before), string(after))
		steps, err := os.ReadFile(filepath.Join(dir, "run", "metrics", "steps.csv"))
		require.NoError(t, err)
		require.Contains(t, strings.SplitN(string(steps), "\n", 2)[0], "InfoNCE")
	}
}

func count(values []float64, of float64) int {
	n := 0
	for _, v := range values {
		if v == of {
			n++
		}
	}
	return n
}

func TestThePapersLossSaysWhereItHasNoPositives(t *testing.T) {
	dir := runFolder(t)
	_, log, err := distillFake(t, t.Context(), fakeArgs(t, dir, "-loss", "paper", "-force")...)
	require.NoError(t, err)
	require.Contains(t, log, "extractive queries have no positive, so of the loss only the parts without one are left")
}

func TestDistillInterpolatesWhereThatIsBetter(t *testing.T) {
	dir := runFolder(t)
	var queries, qrels, lists strings.Builder // of every passage, so that a gain can be told from chance
	corpus, err := retort.LoadCorpus(dir + "/corpus.jsonl")
	require.NoError(t, err)
	for i := range corpus.Len() {
		p, err := corpus.At(i)
		require.NoError(t, err)
		words := strings.Fields(p.Text)
		fmt.Fprintf(&queries, `{"_id":"j%d","text":"%s a %s"}`+"\n", i, words[1], words[3])
		fmt.Fprintf(&qrels, "j%d\t%s\t1\n", i, p.ID)
		ids, scores := []string{p.ID}, []float64{1}
		for j := 1; j < 12; j++ {
			other, err := corpus.At((i + 4*j) % corpus.Len())
			require.NoError(t, err)
			ids, scores = append(ids, other.ID), append(scores, 0)
		}
		list, err := json.Marshal(retort.List{
			Query: retort.Query{ID: fmt.Sprint("l", i), Text: words[3] + " it " + words[1]}, IDs: ids, Scores: scores,
		})
		require.NoError(t, err)
		fmt.Fprintf(&lists, "%s\n", list)
	}
	require.NoError(t, os.WriteFile(dir+"/lists.jsonl", []byte(lists.String()), 0o600))
	require.NoError(t, os.WriteFile(dir+"/judged.jsonl", []byte(queries.String()), 0o600))
	require.NoError(t, os.WriteFile(dir+"/judged.tsv", []byte(qrels.String()), 0o600))
	args := fakeArgs(t, dir, "-queries", dir+"/judged.jsonl", "-qrels", dir+"/judged.tsv", "-lists", dir+"/lists.jsonl",
		"-interpolate", "-lr", "0.1", "-force")
	out, _, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(dir, "run", "results.json"))
	require.NoError(t, err)
	var figures struct{ Training distill.Result }
	require.NoError(t, json.Unmarshal(raw, &figures))
	got := figures.Training
	require.Greater(t, got.Alpha, 0.0)
	require.Less(t, got.Alpha, 1.0, "with this rate the best student has gone too far")
	require.Greater(t, got.AlphaScore, got.Best.Score)
	require.Contains(
		t,
		out,
		fmt.Sprintf("%.4f after (average with weight %.1f of the best, after %d steps)", got.AlphaScore, got.Alpha,
			got.Best.Step),
	)

	records, err := results.Load(filepath.Join(dir, "run"))
	require.NoError(t, err)
	mean := 0.0
	after := results.Of(records, "judged", results.After)
	for _, r := range after {
		mean += r.Metrics[eval.NDCG(10).Name] / float64(len(after))
	}
	require.InDelta(t, got.AlphaScore, mean, 1e-9, "what is measured is the average")
	page, err := os.ReadFile(filepath.Join(dir, "run", "report.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), fmt.Sprintf("%.1f of the way to it from the model as it was", got.Alpha))

	code, _, stderr := cli(t.Context(), append([]string{"distill"}, append(args, "-keep", "last")...)...)
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "-interpolate needs -keep best")
}

func TestAWarningIsALineOfProgress(t *testing.T) {
	var out bytes.Buffer
	trainingEvents(progress.New(&out), "train").Warning(
		retort.Warning{
			Message: "the last checkpoint is damaged", Attrs: []slog.Attr{slog.Int("step", 2), slog.String("why", "x")},
		},
	)
	require.Equal(t, "the last checkpoint is damaged: step 2, why x\n", out.String())
}

func TestDistillHoldsTheRetention(t *testing.T) {
	dir := runFolder(t)
	floor := filepath.Join(dir, "retention")
	require.NoError(t, os.MkdirAll(filepath.Join(floor, "qrels"), 0o755))
	for _, name := range []string{"corpus.jsonl", "queries.jsonl", "qrels/test.tsv"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(floor, name), data, 0o600))
	}
	args := fakeArgs(t, dir, "-force", "-lr", "0.3", "-retention-drop", "0.05")
	train := func(more ...string) (distill.Result, string, string) {
		out, log, err := distillFake(t, t.Context(), append(slices.Clone(args), more...)...)
		require.NoError(t, err)
		raw, err := os.ReadFile(filepath.Join(dir, "run", "results.json"))
		require.NoError(t, err)
		var figures struct{ Training distill.Result }
		require.NoError(t, json.Unmarshal(raw, &figures))
		return figures.Training, out, log
	}
	without, out, _ := train()
	require.Zero(t, without.History[0].Retention)
	require.NotContains(t, out, "retention")

	held, out, log := train("-retention", floor)
	require.Positive(t, held.History[0].Retention)
	require.Contains(t, log, "measure the retention")
	require.Contains(t, log, "retention fell below its limit", "this rate forgets")
	require.NotContains(t, log, "retention fell below its limit\n", "with its step and score")
	require.GreaterOrEqual(t, held.Best.Retention, held.History[0].Retention-.05)
	require.Contains(t, out,
		fmt.Sprintf("retention: ndcg@10 %.4f before, %.4f after\n", held.History[0].Retention, held.Best.Retention))
	for _, e := range held.History {
		require.True(t, e.Forgot || e.Retention >= held.History[0].Retention-.05, "%+v", e)
	}

	// Other judgements are another floor, and another file beside them is none.
	require.NoError(t, os.WriteFile(filepath.Join(floor, "notes"), nil, 0o600))
	_, _, log = train("-retention", floor)
	require.NotContains(t, log, "redone")
	require.NoError(t, os.WriteFile(filepath.Join(floor, "qrels", "test.tsv"), []byte("q1\tp11\t1\n"), 0o600))
	_, _, log = train("-retention", floor)
	require.Contains(t, log, "a stage is redone: stage train")

	for _, c := range []struct {
		more []string
		code int
		want string
	}{
		{[]string{"-retention", floor, "-keep", "last"}, exitUsage, "-retention needs -keep best"},
		{[]string{"-retention", floor, "-retention-drop", "-1"}, exitUsage, "-retention-drop is -1, want at least 0"},
		{[]string{"-retention", dir + "/none"}, exitFailure, dir + "/none"},
	} {
		code, _, stderr := cli(t.Context(), append(append([]string{"distill"}, args...), c.more...)...)
		require.Equal(t, c.code, code, stderr)
		require.Contains(t, stderr, c.want)
	}
}

// The quality at each width is printed, is in the JSON result, and is what the run's records say.
func TestDistillSaysTheQualityAtEachWidth(t *testing.T) {
	dir := runFolder(t)
	settings := filepath.Join(dir, "retort.yaml")
	for _, widths := range []string{"8,4,2", "[8, 4, 2]", "8, 4, 2"} {
		require.NoError(t, os.WriteFile(settings, []byte("matryoshka: "+widths+"\n"), 0o600))
		args := append(fakeArgs(t, dir), "-c", settings)
		a, err := parseDistill(args)
		require.NoError(t, err)
		require.Equal(t, []int{8, 4, 2}, a.recipe().Widths)
		require.Equal(t, "8,4,2", a.values()["matryoshka"])
		stdout, log, err := distillFake(t, t.Context(), args...)
		require.NoError(t, err, log)
		require.Regexp(t, `MRR@10 of held-out items, width +before +after +after - before +95% interval +p\n`+
			`8 +0\.\d{4} +0\.\d{4} +[+-]0\.\d{4} +[+-]0\.\d{4} to [+-]0\.\d{4} +\S+\n4 .*\n2 .*\n`, stdout)
		require.Contains(t, stdout, "MRR@10 of held-out queries, the mean over widths 8, 4, 2: ")
	}
	var written struct{ Widths []pipeline.WidthResult }
	data, err := os.ReadFile(filepath.Join(dir, "run", "results.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &written))
	require.Len(t, written.Widths, 3)
	require.Equal(t, []any{"held-out items", "mrr@10", 2}, []any{written.Widths[2].Set, written.Widths[2].Metric, written.Widths[2].Width})

	both := fakeArgs(t, dir, "-towers", "both", "-out", dir+"/both", "-matryoshka", "8,2")
	stdout, log, err := distillFake(t, t.Context(), both...)
	require.NoError(t, err, log)
	require.Regexp(t, `MRR@10 of held-out items, width .*\n8 .*\n2 `, stdout)

	for _, towers := range []string{"query", "both"} {
		_, _, err = distillFake(t, t.Context(), fakeArgs(t, dir, "-towers", towers, "-matryoshka", "16")...)
		require.ErrorContains(t, err, "-matryoshka: 16 is more than the 8 values of the student's vectors")
	}
}
