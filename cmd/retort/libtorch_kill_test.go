//go:build libtorch

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/runfolder"
)

// startAndKill runs the command and kills it after a while, unless it ends before. It says whether it was killed.
func startAndKill(t *testing.T, after time.Duration, args []string) bool {
	t.Helper()
	text, err := json.Marshal(args)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), commandLine+"="+string(text))
	var log strings.Builder
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
	defer timer.Stop()
	err = cmd.Wait()
	if err == nil {
		return false
	}
	require.Equal(t, "signal: killed", err.Error(), log.String())
	return true
}

// A run of a BERT model that is killed again and again ends in the same lists, scores and model, to the byte.
// RETORT_SOAK=1 (make soak) makes it 5 kills at random moments.
func TestDistillThatIsKilledEndsAsAnUndisturbedOne(t *testing.T) {
	kills := 1
	if os.Getenv("RETORT_SOAK") != "" {
		kills = 5
	}
	dir := runFolder(t)
	args := func(out string) []string {
		return strings.Fields(
			"distill -threads 1 -batch 4 -epochs 6 -eval-steps 12 -patience 0 -checkpoint-every 200ms -corpus " + dir + "/corpus.jsonl -model " + tiny + " -out " + out,
		)
	}
	undisturbed := filepath.Join(dir, "undisturbed")
	start := time.Now()
	began := make(chan time.Duration, 1)
	go func() { began <- untilTheFirstStage(undisturbed, start) }()
	require.False(t, startAndKill(t, time.Minute, args(undisturbed)))
	duration, startup := time.Since(start), <-began
	var hit []string
	for n := 0; len(hit) < kills; n++ {
		out := filepath.Join(dir, fmt.Sprint("killed", n))
		for startAndKill(t, startup+rand.N(duration-startup), args(out)) {
			hit = append(hit, runningStage(out))
		}
		for _, name := range []string{
			"generate.jsonl", "mine.jsonl", "score.jsonl", "filter.jsonl", "before.jsonl", "train.jsonl", "evaluate.jsonl", "vectors.npy", "train.state",
		} {
			require.Equal(t, fileHash(t, filepath.Join(undisturbed, name)), fileHash(t, filepath.Join(out, name)), name)
		}
		for _, name := range []string{"model", "student"} {
			require.Equal(t, fileHash(t, filepath.Join(undisturbed, name)), fileHash(t, filepath.Join(out, name)), name)
		}
	}
	t.Logf("a run takes %v, %v of it before the first stage; killed in %v", duration.Round(time.Millisecond),
		startup.Round(time.Millisecond), hit)
}

// untilTheFirstStage returns when, since start, the manifest named a stage.
func untilTheFirstStage(dir string, start time.Time) time.Duration {
	for time.Since(start) < time.Minute {
		if m, err := runfolder.ReadManifest(dir, runfolder.Pipeline); err == nil && len(m.Stages) > 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(start)
}

func fileHash(t *testing.T, path string) string {
	t.Helper()
	hash, err := runfolder.HashPath(t.Context(), path)
	require.NoError(t, err)
	return hash
}

// runningStage says in which stage a run was killed.
func runningStage(dir string) string {
	m, err := runfolder.ReadManifest(dir, runfolder.Pipeline)
	if err != nil {
		return "start"
	}
	for _, e := range m.Stages {
		if e.State == runfolder.Running {
			return e.Name
		}
	}
	if _, err := fs.Stat(os.DirFS(dir), "vectors.npy"); err != nil {
		return "passage vectors"
	}
	return "between stages"
}
