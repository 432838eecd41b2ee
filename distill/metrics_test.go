package distill

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/checkpoint"
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

// A run that is killed with lines beyond its checkpoint, one of them torn, has each step once.
func TestMetricsHaveEveryStepOnce(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.CheckpointEvery, opts.Dir, opts.MetricsDir = 0, t.TempDir(), filepath.Join(t.TempDir(), "new", "metrics")
	killedAt(t, opts, 7)
	steps, evaluations := filepath.Join(opts.MetricsDir, "steps.csv"), filepath.Join(opts.MetricsDir, "evaluations.csv")
	require.Len(t, readTable(t, steps), 7)
	require.NoError(t, os.Remove(filepath.Join(opts.Dir, checkpoint.Name))) // back to step 6
	f, err := os.OpenFile(steps, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("8,1.6,5,0.")
	require.NoError(t, err)
	require.NoError(t, f.Close())

	result, err := Train(background, newStudent(t), corpus, lists, opts)
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
	_, err = Train(background, newStudent(t), corpus, lists, opts)
	require.NoError(t, err)
	after, err := os.ReadFile(steps)
	require.NoError(t, err)
	require.Equal(t, before, after, "a finished run adds nothing")
}

func TestMetricsOfOtherColumnsAreLeftAlone(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.MetricsDir = t.TempDir()
	path := filepath.Join(opts.MetricsDir, "steps.csv")
	require.NoError(t, os.WriteFile(path, []byte("somebody,else\n1,2\n"), 0o644))
	_, err := Train(background, newStudent(t), corpus, lists, opts)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "other columns")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "somebody,else\n1,2\n", string(data))
}

// pandas.read_csv 3.1 and the EventAccumulator of TensorBoard 2.21 read such files as they are meant (NaN and +Inf too).
func TestMetricsAreForReadersOfCSV(t *testing.T) {
	dir := t.TempDir()
	m, err := openMetrics(dir, []string{"Pair[int,string]"}, trainState{})
	require.NoError(t, err)
	report := StepReport{Queries: 5, Loss: math.NaN(), Parts: []float64{1e-300}, GradNorm: math.Inf(1), LR: 2e-5, Tokens: 1 << 40}
	require.NoError(t, m.step(1, 0.25, report, time.Second))
	require.NoError(t, m.close())
	rows := readTable(t, filepath.Join(dir, "steps.csv"))
	require.Len(t, rows, 1)
	require.True(t, math.IsNaN(rows[0]["loss"]))
	require.Equal(t, 1e-300, rows[0]["loss_Pair[int,string]"])
	require.Equal(t, math.Inf(1), rows[0]["grad_norm"])
	data, err := os.ReadFile(filepath.Join(dir, "steps.csv"))
	require.NoError(t, err)
	require.Contains(t, string(data), ",1099511627776,", "a count without an exponent")

	m, err = openMetrics(dir, []string{"Pair[int,string]"}, trainState{Step: 1})
	require.NoError(t, err)
	require.NoError(t, m.close())
	require.Len(t, readTable(t, filepath.Join(dir, "steps.csv")), 1, "it knows its own header")
}
