//go:build libtorch

package gloo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
)

// jobVariable is the environment variable with the job that makes this test binary a worker.
const jobVariable = "RETORT_GLOO_TEST_JOB"

// job is what a worker does. Its place in the group comes by the usual variables.
type job struct {
	Dir    string // of checkpoints, and of what it returns
	Towers distill.Towers
	Epochs int
	LR     float64
	Pause  time.Duration // after each step
}

type outcome struct {
	Result  *distill.Result
	Weights map[string][]float32
	Vectors []float32 // of some texts
}

func TestMain(m *testing.M) {
	text := os.Getenv(jobVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := work(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work(text string) (err error) {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	ctx := context.Background()
	options, err := FromEnv()
	if err != nil {
		return err
	}
	options.Timeout = 20 * time.Second
	group, err := Connect(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, group.Close()) }()
	opts := j.options()
	opts.Group = group
	out, err := j.train(ctx, opts)
	if err != nil {
		return err
	}
	data, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(j.Dir, fmt.Sprintf("outcome-%d.json", options.Rank)), data, 0o644)
}

func (j job) options() distill.Options {
	o := distill.DefaultOptions()
	o.Towers = distill.Both
	o.Towers, o.Schedule.Epochs, o.Schedule.LR = j.Towers, j.Epochs, j.LR
	o.Schedule.QueriesPerStep, o.Memory.MicroBatchTokens, o.CountDuplicates, o.Selection.DevFraction, o.Selection.EvalSteps, o.Selection.Patience = 5, 40, true, 0.2, 3, 0
	o.Memory.GraphBudget = 1 << 20
	o.Checkpoints.Dir, o.Checkpoints.Every = filepath.Join(j.Dir, "checkpoints"), time.Hour
	o.Events.Step = func(s retort.Step) {
		fmt.Println("step", s.Step)
		time.Sleep(j.Pause)
	}
	return o
}

func (j job) train(ctx context.Context, opts distill.Options) (out outcome, err error) {
	model, err := transformer.Open(ctx, filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny"),
		transformer.Options{Threads: 1})
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	corpus, lists, err := world()
	if err != nil {
		return outcome{}, err
	}
	if out.Result, err = distill.Train(ctx, model, corpus, lists, opts); err != nil {
		return outcome{}, err
	}
	out.Weights = map[string][]float32{}
	for _, p := range model.Parameters() {
		if out.Weights[p.Name], err = p.Value(); err != nil {
			return outcome{}, err
		}
	}
	vectors, err := model.Encode(ctx, encoder.Query,
		[]string{"sort a slice", "read a file line by line", "wait for a goroutine"})
	out.Vectors = vectors.Data
	return out, err
}

// world is a corpus of 4 passages a topic, and 3 queries a topic with lists of 6 passages, of which the teacher likes
// the topic's.
func world() (*retort.MemoryCorpus, []retort.List, error) {
	topics := []string{
		"sort slice order compare", "file read line scanner", "json encode marshal field", "http server request handler",
		"time parse duration layout", "string split join trim", "channel goroutine wait lock", "error wrap unwrap join",
	}
	var passages []retort.Passage
	var lists []retort.List
	for i, topic := range topics {
		words := strings.Fields(topic)
		for k := range 4 {
			text := strings.Repeat(words[(k+1)%4]+" "+words[(k+i)%4]+" ", 1+(i+k)%3)
			passages = append(passages, retort.Passage{ID: fmt.Sprintf("p%d.%d", i, k), Title: words[k], Text: text})
		}
		for k := range 3 {
			l := retort.List{Query: retort.Query{
				ID:   fmt.Sprintf("q%d.%d", i, k),
				Text: "how to " + words[k] + " a " + words[k+1], Origin: "llm",
			}}
			for n := range 6 {
				id, score := fmt.Sprintf("p%d.%d", i, (n+k)%4), 1-0.1*float64(n)
				if n >= 4 {
					id, score = fmt.Sprintf("p%d.%d", (i+1)%len(topics), (n+k)%4), 0.1*float64(n-4)
				}
				l.IDs, l.Scores = append(l.IDs, id), append(l.Scores, score)
			}
			lists = append(lists, l)
		}
	}
	corpus, err := retort.NewCorpus(passages)
	return corpus, lists, err
}

// worker is a process of a group.
type worker struct {
	*exec.Cmd
	steps  *bufio.Scanner // rank 0 writes a line a step
	stderr bytes.Buffer
}

func startWorkers(t *testing.T, jobs ...job) []*worker {
	t.Helper()
	port := freePort(t)
	workers := make([]*worker, len(jobs))
	for r, j := range jobs {
		text, err := json.Marshal(j)
		require.NoError(t, err)
		w := &worker{Cmd: exec.Command(os.Args[0])}
		w.Env = append(os.Environ(), jobVariable+"="+string(text), "MASTER_ADDR=127.0.0.1",
			fmt.Sprintf("MASTER_PORT=%d", port),
			fmt.Sprintf("RANK=%d", r), fmt.Sprintf("WORLD_SIZE=%d", len(jobs)), "OMP_NUM_THREADS=1")
		w.Stderr = &w.stderr
		out, err := w.StdoutPipe()
		require.NoError(t, err)
		w.steps = bufio.NewScanner(out)
		require.NoError(t, w.Start())
		t.Cleanup(func() { _ = w.Process.Kill() })
		workers[r] = w
	}
	return workers
}

// end waits for a worker, and returns what it wrote to stderr where it failed.
func (w *worker) end() string {
	for w.steps.Scan() {
	}
	if w.Wait() == nil {
		return ""
	}
	return w.stderr.String() + w.ProcessState.String()
}

// waitFor returns once rank 0 has made that many steps.
func (w *worker) waitFor(t *testing.T, steps int) {
	t.Helper()
	for w.steps.Scan() {
		if w.steps.Text() == fmt.Sprint("step ", steps) {
			return
		}
	}
	t.Fatalf("the run ended before step %d: %s", steps, w.end())
}

func readOutcome(t *testing.T, dir string, rank int) outcome {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("outcome-%d.json", rank)))
	require.NoError(t, err)
	var out outcome
	require.NoError(t, json.Unmarshal(data, &out))
	return out
}

// difference is |a - b| / |b|.
func difference(a, b []float32) float64 {
	var d, n float64
	for k, x := range b {
		d += math.Pow(float64(a[k])-float64(x), 2)
		n += math.Pow(float64(x), 2)
	}
	return math.Sqrt(d / n)
}

// requireSameOutcome leaves out the bias of attention's keys, which adds the same to all scores of a query and so
// changes no vector: its gradient is nothing but rounding, of which AdamW follows the sign.
func requireSameOutcome(t *testing.T, want, got outcome) {
	t.Helper()
	require.Len(t, got.Weights, len(want.Weights))
	for name, w := range want.Weights {
		if !strings.HasSuffix(name, "attention.self.key.bias") {
			require.Less(t, difference(got.Weights[name], w), 1e-5, name)
		}
	}
	require.Less(t, difference(got.Vectors, want.Vectors), 1e-5)
	require.Len(t, got.Result.History, len(want.Result.History))
	for i, w := range want.Result.History {
		require.InDelta(t, w.Score, got.Result.History[i].Score, 1e-5)
		require.InDelta(t, w.TrainLoss, got.Result.History[i].TrainLoss, 1e-5)
	}
	require.Equal(t, want.Result.Best.Step, got.Result.Best.Step)
}

func alone(t *testing.T, j job) outcome {
	t.Helper()
	opts := j.options()
	opts.Checkpoints.Dir, opts.Events = "", retort.Events{}
	out, err := j.train(context.Background(), opts)
	require.NoError(t, err)
	return out
}

// Two processes over Gloo end in the weights, the losses and the choice of one process, to 1e-5.
func TestTwoProcessesTrainLikeOne(t *testing.T) {
	for _, towers := range []distill.Towers{distill.Both, distill.QueryOnly} {
		t.Run(towers.String(), func(t *testing.T) {
			j := job{Dir: t.TempDir(), Towers: towers, Epochs: 3, LR: 1e-3}
			for r, w := range startWorkers(t, j, j) {
				require.Empty(t, w.end(), "worker %d", r)
			}
			want := alone(t, j)
			first, second := readOutcome(t, j.Dir, 0), readOutcome(t, j.Dir, 1)
			requireSameOutcome(t, want, first)
			require.Equal(t, first, second)
		})
	}
}

// A worker that is killed ends the other within seconds, with an error and a checkpoint of the last finished step, from
// which a later run of both ends as an undisturbed one.
func TestAKilledWorkerEndsTheOtherWithACheckpoint(t *testing.T) {
	j := job{Dir: t.TempDir(), Epochs: 3, LR: 1e-3, Pause: 20 * time.Millisecond}
	workers := startWorkers(t, j, j)
	workers[0].waitFor(t, 5)
	require.NoError(t, workers[1].Process.Signal(syscall.SIGKILL))
	start := time.Now()
	said := workers[0].end()
	require.Less(t, time.Since(start), 10*time.Second)
	t.Logf("rank 0 ended %v after the kill: %s", time.Since(start).Round(time.Millisecond), said)
	require.Contains(t, said, distill.ErrWorkerLost.Error())
	require.Contains(t, said, "exit status 1")
	require.Contains(t, workers[1].end(), "killed")
	require.FileExists(t, filepath.Join(j.Dir, "checkpoints", "checkpoint"))

	workers = startWorkers(t, j, j)
	require.True(t, workers[0].steps.Scan())
	var next int
	_, err := fmt.Sscanf(workers[0].steps.Text(), "step %d", &next)
	require.NoError(t, err)
	require.Greater(t, next, 5, "the first step that it makes now")
	for r, w := range workers {
		require.Empty(t, w.end(), "worker %d", r)
	}
	requireSameOutcome(t, alone(t, j), readOutcome(t, j.Dir, 0))
	require.Equal(t, readOutcome(t, j.Dir, 0), readOutcome(t, j.Dir, 1))
}

// Whichever worker is killed, and whenever, the others end within seconds, and nobody hangs when they start again.
// RETORT_SOAK=1 (make soak) makes it 30 kills.
func TestNobodyHangsWhereAnyoneIsKilledAtAnyMoment(t *testing.T) {
	kills := 2
	if os.Getenv("RETORT_SOAK") != "" {
		kills = 30
	}
	undisturbed := job{Dir: t.TempDir(), Epochs: 6, LR: 1e-3}
	workers := startWorkers(t, undisturbed, undisturbed)
	workers[0].waitFor(t, 1)
	start := time.Now()
	for r, w := range workers {
		require.Empty(t, w.end(), "worker %d", r)
	}
	duration := time.Since(start)
	want := readOutcome(t, undisturbed.Dir, 0)
	j := undisturbed
	j.Dir = t.TempDir()
	for kill := 0; kill < kills; {
		workers := startWorkers(t, j, j)
		if !workers[0].steps.Scan() { // the run before was killed after its last step
			require.Empty(t, workers[0].end())
			require.Empty(t, workers[1].end())
			requireSameOutcome(t, want, readOutcome(t, j.Dir, 0))
			j.Dir = t.TempDir()
			continue
		}
		time.Sleep(rand.N(duration / 2))
		killed := rand.N(2)
		_ = workers[killed].Process.Kill() // it may have ended
		start := time.Now()
		said := workers[1-killed].end()
		require.Less(t, time.Since(start), 10*time.Second)
		if workers[killed].end() == "" { // it was done
			require.Empty(t, said)
			requireSameOutcome(t, want, readOutcome(t, j.Dir, 0))
			j.Dir = t.TempDir()
			continue
		}
		kill++
	}
}

func TestTheDeathOfRankZeroEndsTheOthers(t *testing.T) {
	j := job{Dir: t.TempDir(), Epochs: 50, LR: 1e-3, Pause: 5 * time.Millisecond}
	workers := startWorkers(t, j, j, j)
	workers[0].waitFor(t, 3)
	require.NoError(t, workers[0].Process.Kill())
	start := time.Now()
	for _, w := range workers[1:] {
		require.Contains(t, w.end(), distill.ErrWorkerLost.Error())
	}
	require.Less(t, time.Since(start), 10*time.Second)
	workers[0].end()
}

func TestOtherOptionsOnAnotherRankAreRefused(t *testing.T) {
	j := job{Dir: t.TempDir(), Epochs: 3, LR: 1e-3}
	other := j
	other.LR = 1e-2
	for r, w := range startWorkers(t, j, other) {
		require.Contains(t, w.end(), `the run of worker 1 differs from the run of worker 0: LR is "0.01", want "0.001"`,
			"worker %d", r)
	}
}
