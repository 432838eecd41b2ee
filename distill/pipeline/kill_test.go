package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// runDir is the environment variable that makes this test binary do the run of the test below.
const runDir = "RETORT_DISTILL_TEST_RUN"

// children are what this test binary does instead of the tests, in the folder that the environment variable names.
var children = map[string]func(dir string) error{runDir: slowRun}

func TestMain(m *testing.M) {
	for variable, child := range children {
		dir := os.Getenv(variable)
		if dir == "" {
			continue
		}
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// slowRun is a run in which every stage takes long enough to be killed in.
func slowRun(dir string) error {
	ctx := context.Background()
	p, err := smallRun(400)
	if err != nil {
		return err
	}
	p.Generator, p.Ranker = slowGenerator{p.Generator}, slowRanker{p.Ranker}
	inner := p.Teacher
	p.Teacher = teacher.WithFingerprint(teacher.Func(func(ctx context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
		time.Sleep(500 * time.Microsecond)
		return inner.Score(ctx, q, ps)
	}), "length")
	p.Training.Schedule.QueriesPerStep, p.Training.Checkpoints.Every = 32, 10*time.Millisecond
	p.events = watch(retort.Events{Step: func(retort.Step) { time.Sleep(5 * time.Millisecond) }})
	measure := p.Measure
	p.Measure = func(ctx context.Context, trained bool, have int, emit func(any) error) error {
		return measure(ctx, trained, have, func(record any) error {
			time.Sleep(5 * time.Millisecond)
			return emit(record)
		})
	}
	if p.Folder, err = runfolder.Open(ctx, dir, runfolder.Pipeline, quietLog()); err != nil {
		return err
	}
	_, err = p.Run(ctx)
	return errors.Join(err, p.Folder.Close())
}

type slowGenerator struct{ generate.QueryGenerator }

func (g slowGenerator) Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
	time.Sleep(500 * time.Microsecond)
	return g.QueryGenerator.Generate(ctx, p)
}

type slowRanker struct{ mine.Retriever }

func (r slowRanker) Search(ctx context.Context, queries []retort.Query, k int) ([][]mine.Hit, error) {
	time.Sleep(80 * time.Millisecond)
	return r.Retriever.Search(ctx, queries, k)
}

// runAndKill starts a child in a folder and kills it after a while, unless it ends before. It says whether it was killed.
func runAndKill(t *testing.T, variable, dir string, after time.Duration) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+dir)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
	defer timer.Stop()
	err := cmd.Wait()
	if err == nil {
		return false
	}
	require.Equal(t, "signal: killed", err.Error())
	return true
}

// stageOf says in which stage the run was killed.
func stageOf(t *testing.T, dir string) string {
	t.Helper()
	m, err := runfolder.ReadManifest(dir, runfolder.Pipeline)
	if errors.Is(err, fs.ErrNotExist) {
		return "start"
	}
	require.NoError(t, err)
	for _, e := range m.Stages {
		if e.State == runfolder.Running {
			return e.Name
		}
	}
	return "between stages"
}

// A run that is killed at random moments until it is done ends in the same files, to the byte: the same lists, scores and
// model. RETORT_SOAK=1 (make soak) makes it 95 kills.
func TestARunThatIsKilledEndsAsAnUndisturbedOne(t *testing.T) {
	kills := 5
	if os.Getenv("RETORT_SOAK") != "" {
		kills = 95
	}
	undisturbed := filepath.Join(t.TempDir(), "run")
	start := time.Now()
	require.False(t, runAndKill(t, runDir, undisturbed, time.Minute))
	duration := time.Since(start)
	want := contents(t, undisturbed)
	hit, runs := map[string]int{}, 0
	for done := 0; done < kills; runs++ {
		dir := filepath.Join(t.TempDir(), "run")
		for runAndKill(t, runDir, dir, rand.N(duration)) {
			hit[stageOf(t, dir)]++
			done++
		}
		require.Equal(t, want, contents(t, dir))
		require.NoError(t, os.RemoveAll(dir))
	}
	var stages []string
	for _, stage := range append([]string{"start", "between stages"}, stageNames()...) {
		stages = append(stages, fmt.Sprintf("%s %d", stage, hit[stage]))
	}
	t.Logf("%d runs of %v, killed in: %v", runs, duration.Round(time.Millisecond), stages)
}

func stageNames() []string {
	names := slices.Clone(stageFiles)
	for i, name := range names {
		names[i] = name[:len(name)-len(filepath.Ext(name))]
	}
	return names
}
