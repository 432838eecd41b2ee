package metrics

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder/encodertest"
)

func readTable(t *testing.T, path string) []map[string]float64 {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	var rows []map[string]float64
	for _, line := range lines[1:] {
		row := map[string]float64{}
		for i, cell := range line {
			row[lines[0][i]], err = strconv.ParseFloat(cell, 64)
			require.NoError(t, err)
		}
		rows = append(rows, row)
	}
	return rows
}

// training is a small one, of 20 steps with an evaluation after every third. It is written into dir by a writer of its
// own.
func training(t *testing.T, ctx context.Context, dir string, opts distill.Options) (*distill.Result, error) {
	t.Helper()
	var passages []retort.Passage
	var lists []retort.List
	topics := []string{
		"sort slice", "read file", "json field", "http server", "parse time", "split string", "wait lock", "wrap error",
	}
	for i, topic := range topics {
		for j := range 4 {
			text := strings.Repeat(fmt.Sprintf("%s number%d ", topic, j), 1+(i+j)%3)
			passages = append(passages, retort.Passage{ID: fmt.Sprintf("p%d.%d", i, j), Text: text})
		}
	}
	for i, topic := range topics {
		for k := range 3 {
			l := retort.List{Query: retort.Query{
				ID: fmt.Sprintf("q%d.%d", i, k), Text: fmt.Sprintf("how%d to %s", k, topic),
				Source: fmt.Sprintf("p%d.%d", i, k), Origin: "llm",
			}}
			for j := range 6 {
				l.IDs = append(l.IDs, fmt.Sprintf("p%d.%d", (i+j/4)%len(topics), (j+k)%4))
				l.Scores = append(l.Scores, 1-0.15*float64(j))
			}
			lists = append(lists, l)
		}
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	student, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 256, Seed: 5})
	require.NoError(t, err)
	opts.Schedule.Epochs, opts.Schedule.QueriesPerStep, opts.Schedule.LR = 4, 5, 0.02
	opts.Memory.MicroBatchTokens, opts.Memory.GraphBudget = 40, -1
	opts.Selection.DevFraction, opts.Selection.EvalSteps, opts.Selection.Patience = 0.2, 3, 0
	if dir == "" {
		return distill.Train(ctx, student, corpus, lists, opts)
	}
	w, err := Open(dir)
	require.NoError(t, err)
	opts.Events = retort.Tee(w.Events(), opts.Events)
	result, err := distill.Train(ctx, student, corpus, lists, opts)
	return result, errors.Join(err, w.Close())
}

// A training that is killed with lines beyond its checkpoint, one of them torn, has each step once.
func TestEveryStepStandsInTheFilesOnce(t *testing.T) {
	for at := 1; at <= 20; at++ { // evaluations are made after every third
		dir := filepath.Join(t.TempDir(), "new", "metrics")
		opts := distill.DefaultOptions()
		opts.Towers = distill.Both
		opts.Checkpoints.Dir, opts.Checkpoints.Every = t.TempDir(), time.Hour
		killed := t.TempDir() // the checkpoints of the moment of the kill
		opts.Events.Step = func(s retort.Step) {
			if s.Step == at {
				require.NoError(t, os.CopyFS(killed, os.DirFS(opts.Checkpoints.Dir)))
			}
		}
		_, err := training(t, t.Context(), dir, opts)
		require.NoError(t, err)
		steps, evaluations := filepath.Join(dir, stepsFile), filepath.Join(dir, evaluationsFile)
		f, err := os.OpenFile(steps, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString("8,1.6,5,0.")
		require.NoError(t, err)
		require.NoError(t, f.Close())

		opts.Checkpoints.Dir, opts.Events.Step = killed, nil
		result, err := training(t, t.Context(), dir, opts)
		require.NoError(t, err)
		rows := readTable(t, steps)
		require.Len(t, rows, result.Steps)
		for i, r := range rows {
			require.Equal(t, float64(i+1), r["step"])
			require.InDelta(t, r["loss"], r["loss_ListwiseKL"]+r["loss_InfoNCE"], 1e-12)
			require.Positive(t, r["loss_ListwiseKL"])
			for _, name := range []string{"epoch", "queries", "grad_norm", "lr", "tokens", "tokens_per_second", "seconds"} {
				require.Positive(t, r[name], name)
			}
			require.Greater(t, r["distinct_share"], 0.0)
			require.LessOrEqual(t, r["distinct_share"], 1.0)
			require.Zero(t, r["masked_share"], "this loss masks nothing")
		}
		rows = readTable(t, evaluations)
		require.Len(t, rows, len(result.History))
		for i, h := range result.History {
			require.Equal(t, float64(h.Step), rows[i]["step"])
			require.Equal(t, h.Score, rows[i]["score"])
		}
		before, err := os.ReadFile(steps)
		require.NoError(t, err)
		_, err = training(t, t.Context(), dir, opts)
		require.NoError(t, err)
		after, err := os.ReadFile(steps)
		require.NoError(t, err)
		require.Equal(t, before, after, "a finished training adds nothing")
	}
}

func TestFilesOfOtherColumnsAreLeftAlone(t *testing.T) {
	for name, content := range map[string]string{
		stepsFile: "somebody,else\n1,2\n", evaluationsFile: "step,epoch\n", "both": "",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		_, err := Open(dir)
		if name == "both" {
			require.NoError(t, err, "a file of another name does not matter")
			continue
		}
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "different columns")
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(data))
	}
}

func TestALossOfOtherPartsIsAnErrorThatLeavesTheSteps(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, stepsFile)
	content := strings.Join(stepColumns([]string{"Other"}), ",") + "\n"
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	_, err := training(t, t.Context(), dir, distill.DefaultOptions())
	require.ErrorContains(t, err, path+" has different columns")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, content, string(data))
}

// The cancel function of a context ends the training with the error; without it, Close returns the error.
func TestAFullDiskEndsTheTrainingOrIsReturnedByClose(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("needs /dev/full:", err)
	}
	for _, ends := range []bool{true, false} {
		w, err := Open(t.TempDir())
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		if ends {
			w.Failed = cancel
		}
		steps := 0
		opts := distill.DefaultOptions()
		opts.Towers = distill.Both
		opts.Events = retort.Tee(w.Events(), retort.Events{Step: func(s retort.Step) {
			if steps = s.Step; steps == 5 {
				full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
				require.NoError(t, err)
				require.NoError(t, w.steps.file.Close())
				w.steps.file = full
			}
		}})
		result, err := training(t, ctx, "", opts)
		if ends {
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, context.Cause(ctx), syscall.ENOSPC)
			require.Equal(t, 6, steps)
		} else {
			require.NoError(t, err)
			require.Equal(t, result.TotalSteps, steps)
		}
		require.ErrorIs(t, w.Close(), syscall.ENOSPC)
	}
}

// pandas.read_csv 3.1 and the EventAccumulator of TensorBoard 2.21 read such files as they are meant (NaN and +Inf
// too).
func TestMetricsAreForReadersOfCSV(t *testing.T) {
	dir := t.TempDir()
	step := retort.Step{
		Step: 1, Epoch: 0.25, Queries: 5, Loss: math.NaN(),
		Parts:    []retort.LossPart{{Name: "Pair[int,string]", Value: 1e-300}},
		GradNorm: math.Inf(1), LR: 2e-5, Tokens: 1 << 40, Took: time.Second,
	}
	for range 2 { // the second one knows the header again
		w, err := Open(dir)
		require.NoError(t, err)
		w.Events().Step(step)
		require.NoError(t, w.Close())
		rows := readTable(t, filepath.Join(dir, stepsFile))
		require.Len(t, rows, 1)
		require.True(t, math.IsNaN(rows[0]["loss"]))
		require.Equal(t, 1e-300, rows[0]["loss_Pair[int,string]"])
		require.Equal(t, math.Inf(1), rows[0]["grad_norm"])
		data, err := os.ReadFile(filepath.Join(dir, stepsFile))
		require.NoError(t, err)
		require.Contains(t, string(data), ",1099511627776,", "a count without an exponent")
	}
}
