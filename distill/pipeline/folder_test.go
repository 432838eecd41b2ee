package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// lengthTeacher likes long passages and counts what it is asked.
type lengthTeacher struct{ asked int }

func (t *lengthTeacher) Fingerprint() string { return "length" }

func (t *lengthTeacher) Score(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
	t.asked++
	scores := make([]float64, len(ps))
	for i, p := range ps {
		scores[i] = float64(len(p.Text))/7 + float64(len(q.Text)%5)*float64(i%3)
	}
	return scores, nil
}

// wordsGenerator makes a query of a passage's first words, none of every fifth passage.
type wordsGenerator struct{ words int }

func (g wordsGenerator) Generate(_ context.Context, p retort.Passage) ([]retort.Query, error) {
	var number int
	if _, err := fmt.Sscanf(p.ID, "p%d", &number); err != nil || number%5 == 4 {
		return nil, err
	}
	text := strings.Join(strings.Fields(p.Text)[:g.words], " ")
	return []retort.Query{{ID: p.ID + "#0", Text: fmt.Sprintf("%s ask%d", text, number%7), Type: "words", Source: p.ID, Origin: "a model"}}, nil
}

// smallRun is a pipeline with every stage, small enough to be run many times. It is the same at each call.
func smallRun(size int) (*stages, error) {
	words := []string{"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"}
	var passages []retort.Passage
	for i := range size {
		text := fmt.Sprintf("%s %s number%d", words[i%8], words[(3*i+1)%8], i)
		passages = append(passages, retort.Passage{ID: fmt.Sprint("p", i), Title: words[i%5], Text: text})
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		return nil, err
	}
	bm25, err := mine.NewBM25(context.Background(), corpus, mine.BM25Options{})
	if err != nil {
		return nil, err
	}
	student, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 128, Seed: 3})
	if err != nil {
		return nil, err
	}
	dense, err := mine.NewDense(context.Background(), student, corpus, nil)
	if err != nil {
		return nil, err
	}
	heldOut := make([]retort.Query, 12)
	for i := range heldOut {
		p := passages[3*i]
		heldOut[i] = retort.Query{ID: fmt.Sprint("known", i), Text: words[i%8] + " " + p.Title, Type: "known", Source: p.ID}
	}
	known, err := newHeldOutItems(corpus, heldOut, 40, true)
	if err != nil {
		return nil, err
	}
	training := distill.DefaultOptions()
	training.Schedule.Epochs, training.Schedule.QueriesPerStep, training.Schedule.LR, training.Selection.EvalSteps, training.Selection.Patience = 3, 4, .02, 5, 0
	training.Towers, training.Selection.DevFraction = distill.QueryOnly, .2
	p := &stages{
		Student: student, Corpus: corpus, Generator: wordsGenerator{2}, Ranker: bm25, Teacher: &lengthTeacher{},
		Queries: []retort.Query{{ID: "own", Text: "alpha <beta> & gamma"}}, Vectors: dense.Vectors(),
		Mining: Mining{
			List:      ListShape{DropSource: true, Top: 3, Sample: 2, Depth: 8},
			RoundTrip: 3, Target: StudentScale, Gamma: 1, Temperature: .05, seed: 4,
		},
		Training: training,
	}
	untouched, err := distill.ReadWeights(student)
	if err != nil {
		return nil, err
	}
	p.SignificanceTest = func(context.Context, encoder.Encoder) ([]float64, error) {
		now, err := distill.ReadWeights(p.Student)
		values := make([]float64, 9)
		for i := range values {
			if !reflect.DeepEqual(now, untouched) {
				values[i] = 1 + float64(i)/10
			}
		}
		return values, err
	}
	p.Measure = func(ctx context.Context, trained bool, have int, emit func(any) error) error {
		ranks, err := known.ReciprocalRanks(ctx, p.Student)
		for i, r := range ranks {
			if i < have {
				continue
			}
			err = errors.Join(err, emit(map[string]any{"query": fmt.Sprint("known", i), "trained": trained, "rr": r}))
		}
		return err
	}
	return p, nil
}

func newSmallRun(t testing.TB) *stages {
	t.Helper()
	p, err := smallRun(40)
	require.NoError(t, err)
	return p
}

func openRun(t testing.TB, dir string, log io.Writer) *runfolder.Folder {
	t.Helper()
	f, err := runfolder.Open(t.Context(), dir, runfolder.Pipeline, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// runIn runs the pipeline in the folder and returns what was reported too.
func runIn(t testing.TB, dir string, p *stages) (*Outcome, string) {
	t.Helper()
	var log bytes.Buffer
	p.Folder = openRun(t, dir, &log)
	out, err := p.Run(t.Context())
	require.NoError(t, err)
	require.NoError(t, p.Folder.Close())
	return out, log.String()
}

var stageFiles = []string{
	"generate.jsonl", "mine.jsonl", "score.jsonl", "filter.jsonl", "before.jsonl", "train.jsonl", "evaluate.jsonl",
}

// contents returns the stages' files, the trained weights and the model of a run.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range append([]string{"train.state"}, stageFiles...) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		all[name] = string(data)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "model"))
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, "model", e.Name()))
		require.NoError(t, err)
		all["model/"+e.Name()] = string(data)
	}
	return all
}

func TestARunInAFolderGivesWhatARunInMemoryGives(t *testing.T) {
	dir := t.TempDir()
	inMemory, inFolder := newSmallRun(t), newSmallRun(t)
	want, err := inMemory.Run(t.Context())
	require.NoError(t, err)
	got, log := runIn(t, dir, inFolder)
	require.Equal(t, want, got)
	require.Empty(t, log)
	require.Equal(t, stateOf(t, inMemory.Student), stateOf(t, inFolder.Student))
	require.NoDirExists(t, filepath.Join(dir, "checkpoints"))
	require.Positive(t, got.Training.Best.Step, "training changes the student, or this test says little")
	require.Len(t, got.Measured, 24)

	// What was there is read, and nothing is done.
	again := newSmallRun(t)
	asked := &lengthTeacher{}
	again.Teacher = asked
	trainedSteps := 0
	again.Training.Events = retort.Events{Step: func(retort.Step) { trainedSteps++ }, Evaluation: func(retort.Evaluation) { trainedSteps++ }}
	before := contents(t, dir)
	got, log = runIn(t, dir, again)
	require.Equal(t, want, got)
	require.Empty(t, log)
	require.Zero(t, asked.asked+trainedSteps)
	require.Equal(t, stateOf(t, inMemory.Student), stateOf(t, again.Student))
	require.Equal(t, before, contents(t, dir))

	lists, err := retort.LoadLists(filepath.Join(dir, "filter.jsonl"))
	require.NoError(t, err, "a stage's file is plain JSON Lines")
	require.Equal(t, want.Lists, lists)
}

func TestAChangedSettingRedoesOnlyWhatDependsOnIt(t *testing.T) {
	first := t.TempDir()
	runIn(t, first, newSmallRun(t))
	for _, c := range []struct {
		name   string
		change func(*stages)
		redone string
	}{
		{"nothing", func(*stages) {}, ""},
		{"the generator's version", func(p *stages) { p.Versions = map[string]string{runfolder.StageGenerate: "2"} }, "generate"},
		{"the generator", func(p *stages) { p.Generator = fixedGenerator{"a model"} }, "generate mine score filter train evaluate"},
		{"the user's queries", func(p *stages) { p.Queries[0].Text = "delta" }, "mine score filter train evaluate"},
		{"how many queries are used", func(p *stages) { p.Mining.MaxQueries = 9 }, "mine score filter train evaluate"},
		{"the depth", func(p *stages) { p.Mining.List.Depth = 9 }, "mine score filter train evaluate"},
		{"the round trip", func(p *stages) { p.Mining.RoundTrip = 1 }, "score filter train evaluate"},
		{"the length of lists", func(p *stages) { p.Mining.List.Top = 2 }, "score filter train evaluate"},
		{"the most lists", func(p *stages) { p.Mining.MaxLists = 10 }, "score filter train evaluate"},
		{"the teacher", func(p *stages) { p.Teacher = teacher.WithFingerprint(p.Teacher, "another") }, "score"},
		{"gamma", func(p *stages) { p.Mining.Gamma = .5 }, "filter train evaluate"},
		{"the target", func(p *stages) { p.Mining.Target = MinMax }, "filter train evaluate"},
		{"the learning rate", func(p *stages) { p.Training.Schedule.LR = .01 }, "train evaluate"},
		{"the widths", func(p *stages) { p.Training.Widths = []int{8, 4} }, "train evaluate"},
		{"what chooses the best", func(p *stages) { p.Versions = map[string]string{runfolder.StageTrain: "2"} }, "train"},
		{"what is measured", func(p *stages) { p.Versions = map[string]string{runfolder.StageEvaluate: "2"} }, "evaluate"},
		{"the time between checkpoints", func(p *stages) { p.Training.Checkpoints.Every = 1e9 }, ""},
		{"the student", func(p *stages) {
			student, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 128, Seed: 9})
			require.NoError(t, err)
			dense, err := mine.NewDense(t.Context(), student, p.Corpus, nil)
			require.NoError(t, err)
			p.Student, p.Vectors = student, dense.Vectors()
		}, "filter before train evaluate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of the time goes to syncing files
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(first)))
			changed, anew := newSmallRun(t), newSmallRun(t)
			c.change(changed)
			c.change(anew)
			got, log := runIn(t, dir, changed)
			var redone []string
			for _, line := range strings.Split(strings.TrimSpace(log), "\n") {
				if _, after, ok := strings.Cut(line, "stage="); ok {
					require.Contains(t, line, "a stage is redone")
					redone = append(redone, strings.Fields(after)[0])
				}
			}
			require.Equal(t, c.redone, strings.Join(redone, " "), log)
			other := t.TempDir()
			want, _ := runIn(t, other, anew)
			require.Equal(t, want, got)
			require.Equal(t, contents(t, other), contents(t, dir))
		})
	}
}

// A run is stopped by the end of its context after every few events of every stage, again and again, until it is done.
func TestARunThatIsInterruptedGoesOnToTheSameEnd(t *testing.T) {
	undisturbed, dir := t.TempDir(), t.TempDir()
	want, _ := runIn(t, undisturbed, newSmallRun(t))
	stopped := map[string]int{}
	for {
		p := newSmallRun(t)
		ctx, cancel := context.WithCancel(t.Context())
		events, last := 0, runfolder.StageGenerate
		var mu sync.Mutex // the teacher is asked ahead of the records
		tick := func(stage string) {
			mu.Lock()
			defer mu.Unlock()
			last = stage
			if events++; events == 4 {
				cancel()
			}
		}
		inner := p.Teacher
		p.Teacher = teacher.WithFingerprint(teacher.Func(func(ctx context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
			tick(runfolder.StageScore)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return inner.Score(ctx, q, ps)
		}), "length")
		p.events = watch(retort.Events{
			Stage: func(s retort.Stage) {
				if slices.Contains(runfolder.PipelineStages(), s.Name) && s.Name != retort.StageTrain {
					tick(s.Name)
				}
			},
			Step: func(retort.Step) { tick(runfolder.StageTrain) }, Evaluation: func(retort.Evaluation) { tick(runfolder.StageEvaluate) },
		})
		p.Folder = openRun(t, dir, io.Discard)
		out, err := p.Run(ctx)
		cancel()
		require.NoError(t, p.Folder.Close())
		if err == nil {
			require.Equal(t, want, out)
			break
		}
		require.ErrorIs(t, err, context.Canceled)
		stopped[last]++
		require.Less(t, stopped[last], 50)
	}
	require.Greater(t, stopped[runfolder.StageScore], 5)
	require.Greater(t, stopped[runfolder.StageTrain], 1)
	require.Equal(t, contents(t, undisturbed), contents(t, dir))
}

func TestACheckpointThatCannotBeWrittenEndsTheRunWhichGoesOnLater(t *testing.T) {
	dir := t.TempDir()
	p := newSmallRun(t)
	p.Folder = openRun(t, dir, io.Discard)
	p.Training.Checkpoints.Every = 0
	p.events = watch(retort.Events{Step: func(s retort.Step) {
		if s.Step == 3 {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "checkpoints")))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "checkpoints"), nil, 0o600))
		}
	}})
	_, err := p.Run(t.Context())
	require.ErrorContains(t, err, filepath.Join(dir, "checkpoints"))
	require.NoError(t, p.Folder.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "checkpoints")))
	undisturbed := t.TempDir()
	want, _ := runIn(t, undisturbed, newSmallRun(t))
	got, _ := runIn(t, dir, newSmallRun(t))
	require.Equal(t, want, got)
	require.Equal(t, contents(t, undisturbed), contents(t, dir))
}

func TestFilesThatWereDeletedByHandAreMadeAgain(t *testing.T) {
	undisturbed := t.TempDir()
	want, _ := runIn(t, undisturbed, newSmallRun(t))
	for _, name := range append([]string{"model", "manifest.json"}, stageFiles...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(undisturbed)))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
			got, log := runIn(t, dir, newSmallRun(t))
			require.Equal(t, want, got)
			require.Equal(t, contents(t, undisturbed), contents(t, dir))
			if strings.HasSuffix(name, ".jsonl") {
				require.Contains(t, log, "the file of a stage is gone")
			}
		})
	}
	dir := t.TempDir()
	runIn(t, dir, newSmallRun(t))
	require.NoError(t, os.Remove(filepath.Join(dir, "train.state")))
	p := newSmallRun(t)
	p.Folder = openRun(t, dir, io.Discard)
	_, err := p.Run(t.Context())
	require.ErrorContains(t, err, "train.state")
	require.ErrorContains(t, err, "train.jsonl")
}

func TestARunOfOwnListsOnlyTrains(t *testing.T) {
	dir := t.TempDir()
	first := newSmallRun(t)
	out, err := first.Run(t.Context())
	require.NoError(t, err)
	p := newSmallRun(t)
	p.Lists, p.Generator, p.Queries = out.Lists, nil, nil
	p.Training.Loss = loss.ListwiseKL{TeacherTemperature: .05, StudentTemperature: .05} // of lists on the student's scale
	got, _ := runIn(t, dir, p)
	require.Equal(t, out.Training, got.Training)
	require.NoFileExists(t, filepath.Join(dir, "mine.jsonl"))
	require.FileExists(t, filepath.Join(dir, "train.jsonl"))
}

func TestAStudentThatFailsTheSignificanceTestIsAsItWas(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		p := newSmallRun(t)
		p.SignificanceTest = func(ctx context.Context, student encoder.Encoder) ([]float64, error) {
			return []float64{1, 1, 1, 1, 1, 1, 1}, nil
		}
		require.NoError(t, p.Student.(encoder.Splitter).SplitTowers())
		before := weightsOf(t, p.Student)
		if dir != "" {
			p.Folder = openRun(t, dir, io.Discard)
		}
		out, err := p.Run(t.Context())
		require.NoError(t, err)
		require.Zero(t, out.Test.Delta)
		require.Zero(t, out.Training.Alpha)
		require.Zero(t, out.Training.Best.Step)
		require.Equal(t, before, weightsOf(t, p.Student))
	}
}

func TestTheFiltersAreCounted(t *testing.T) {
	p := newSmallRun(t)
	p.Mining.Filters.MinWords, p.Mining.Filters.MaxWords, p.Mining.Filters.NearDuplicate = 1, 8, 1
	p.TestQueries = []retort.Query{{ID: "t", Text: "Theta, eta number7"}}
	p.TestSources = map[string]bool{"p1": true}
	p.Mining.Filters.SourceFirst, p.Mining.Filters.TopPercentile, p.Mining.List.Min = true, 10, 3
	queries, err := p.MakeQueries(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, "own", queries[0].ID)
	for _, q := range queries {
		require.NotEqual(t, "p1", q.Source)
	}
	var funnel Funnel
	all, err := p.MakeQueries(t.Context(), &funnel)
	require.NoError(t, err)
	_, err = p.MakeLists(t.Context(), all, &funnel)
	require.NoError(t, err)
	var names []string
	for _, f := range funnel.Filters {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"length", "near-duplicates", "test queries", "test sources", "round trip", "list length", "teacher's first", "top score"}, names)
	for _, spoil := range []func(*Mining){
		func(o *Mining) { o.Filters.MinWords = 9 }, func(o *Mining) { o.Filters.NearDuplicate = 2 },
		func(o *Mining) { o.Filters.TopPercentile = 101 }, func(o *Mining) { o.List.Min = -1 },
	} {
		o := p.Mining
		spoil(&o)
		require.ErrorContains(t, o.Validate(), "Mining.")
	}
}

func TestTwoRunsInOneFolderAreRefused(t *testing.T) {
	dir := t.TempDir()
	openRun(t, dir, io.Discard)
	_, err := runfolder.Open(t.Context(), dir, runfolder.Pipeline, quietLog())
	require.ErrorIs(t, err, retort.ErrInUse)
	require.ErrorContains(t, err, fmt.Sprintf("the run %s is in use by process %d", dir, os.Getpid()))
}

// A model that is damaged is saved again from the weights; damaged weights end the run before anything is made of them.
func TestADamagedModelIsSavedAgainAndDamagedWeightsAreNamed(t *testing.T) {
	dir := t.TempDir()
	want, _ := runIn(t, dir, newSmallRun(t))
	before := contents(t, dir)
	flip := func(path string) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		data[len(data)/2] ^= 16
		require.NoError(t, os.WriteFile(path, data, 0o644))
	}
	entries, err := os.ReadDir(filepath.Join(dir, "model"))
	require.NoError(t, err)
	for _, e := range entries {
		flip(filepath.Join(dir, "model", e.Name()))
		got, log := runIn(t, dir, newSmallRun(t))
		require.Equal(t, want, got)
		require.Contains(t, log, "a file of the run is damaged")
		require.Contains(t, log, filepath.Join(dir, "model", e.Name()))
		require.Equal(t, before, contents(t, dir))
		_, log = runIn(t, dir, newSmallRun(t))
		require.Empty(t, log)
	}

	flip(filepath.Join(dir, "train.state"))
	p := newSmallRun(t)
	p.Folder = openRun(t, dir, io.Discard)
	_, err = p.Run(t.Context())
	require.ErrorContains(t, err, filepath.Join(dir, "train.state")+" is damaged")
	require.NoError(t, p.Folder.Close())
	_, err = runfolder.Repair(t.Context(), dir, runfolder.Pipeline, quietLog())
	require.NoError(t, err)
	got, _ := runIn(t, dir, newSmallRun(t))
	require.Equal(t, want, got)
	require.Equal(t, before, contents(t, dir))
}

// The layout is what the stages write: a file of another name would have no checksum.
func TestARunHoldsOnlyFilesOfItsLayout(t *testing.T) {
	dir := t.TempDir()
	p := newSmallRun(t)
	runIn(t, dir, p)
	require.FileExists(t, filepath.Join(dir, folderMetrics, "steps.csv"))
	v, err := runfolder.Verify(t.Context(), dir, runfolder.Pipeline)
	require.NoError(t, err)
	require.Empty(t, v.Damaged)
	require.Empty(t, v.Unchecked)
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != runfolder.LockFile {
			files++
		}
		return err
	}))
	require.Equal(t, files, v.Files)
}
