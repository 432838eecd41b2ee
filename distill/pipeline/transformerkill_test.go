//go:build libtorch

package pipeline

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/training"
)

// bertDir is the environment variable that makes this test binary train the tiny BERT.
const bertDir = "RETORT_DISTILL_TEST_BERT"

func init() { children[bertDir] = trainBERT }

// trainBERT writes a checkpoint after every step, so that kills hit those too, and the model at the end.
func trainBERT(dir string) (err error) {
	ctx := context.Background()
	model, err := transformer.Open(ctx, filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny"), transformer.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	corpus, lists, err := worldLists()
	if err != nil {
		return err
	}
	opts := quick()
	opts.Schedule.LR, opts.Schedule.Epochs, opts.Checkpoints.Every, opts.Checkpoints.Dir = 1e-3, 12, 0, filepath.Join(dir, "checkpoints")
	if _, err := distill.Train(ctx, model, corpus, lists, opts); err != nil {
		return err
	}
	return model.Save(filepath.Join(dir, "model"))
}

// Training a BERT that is killed at random moments until it is done ends in the same model, to the byte. RETORT_SOAK=1
// (make soak) makes it 100 kills.
func TestABERTThatIsKilledEndsAsAnUndisturbedOne(t *testing.T) {
	kills := 3
	if os.Getenv("RETORT_SOAK") != "" {
		kills = 100
	}
	undisturbed := t.TempDir()
	start := time.Now()
	require.False(t, runAndKill(t, bertDir, undisturbed, time.Minute))
	duration := time.Since(start)
	want := modelBytes(t, undisturbed)
	var after []int // the steps that were safe when a run was killed
	runs := 0
	for ; len(after) < kills; runs++ {
		dir, before, start := t.TempDir(), len(after), time.Now()
		for runAndKill(t, bertDir, dir, rand.N(duration)) {
			after = append(after, safeSteps(t, dir))
		}
		if len(after) == before { // the machine has become faster: aim at this run's length
			duration = time.Since(start)
		}
		require.True(t, string(want) == string(modelBytes(t, dir)), "model.safetensors, run %d, kills after steps %v", runs,
			after)
	}
	t.Logf("%d kills in %d runs of %v, after steps %v", len(after), runs, duration.Round(time.Millisecond), after)
}

func modelBytes(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "model", "model.safetensors"))
	require.NoError(t, err)
	return data
}

// safeSteps is the step of the last checkpoint, 0 where there is none.
func safeSteps(t *testing.T, dir string) int {
	t.Helper()
	last, err := training.LastState(filepath.Join(dir, "checkpoints"))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	require.NoError(t, err)
	return last.Step
}
