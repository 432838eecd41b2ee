package loss_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
)

// golden.json holds PyTorch's values; testdata/golden.py made it.
type golden struct {
	KL []struct {
		TauTeacher float64   `json:"tau_teacher"`
		TauStudent float64   `json:"tau_student"`
		Teacher    []float64 `json:"teacher"`
		Sim        []float32 `json:"sim"`
		Loss       float64   `json:"loss"`
		Grad       []float64 `json:"grad"`
	} `json:"kl"`
	MarginMSE []struct {
		Scale   float64   `json:"scale"`
		Teacher []float64 `json:"teacher"`
		Sim     []float32 `json:"sim"`
		Loss    float64   `json:"loss"`
		Grad    []float64 `json:"grad"`
	} `json:"margin_mse"`
	Paper struct {
		Count []float32 `json:"count"`
		Rows  []struct {
			List     []int32   `json:"list"`
			Teacher  []float64 `json:"teacher"`
			Positive int32     `json:"positive"`
			Sim      []float32 `json:"sim"`
			KL       float64   `json:"kl"`
			InfoNCE  float64   `json:"infonce"`
			Grad     []float64 `json:"grad"`
		} `json:"rows"`
	} `json:"paper"`
}

func readGolden(t *testing.T) golden {
	data, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(data, &g))
	return g
}

func TestListwiseKLEqualsPyTorch(t *testing.T) {
	for _, g := range readGolden(t).KL {
		l := loss.ListwiseKL{TeacherTemperature: g.TauTeacher, StudentTemperature: g.TauStudent}
		r := loss.Row{List: columns(len(g.Sim)), Teacher: g.Teacher, Positive: -1}
		requireLoss(t, l, &r, g.Sim, g.Loss, g.Grad)
	}
}

func TestMarginMSEEqualsPyTorch(t *testing.T) {
	for _, g := range readGolden(t).MarginMSE {
		r := loss.Row{List: columns(len(g.Sim)), Teacher: g.Teacher, Positive: 0}
		requireLoss(t, loss.MarginMSE{Scale: g.Scale}, &r, g.Sim, g.Loss, g.Grad)
	}
}

// Distinct columns with their counts give what autograd gives over the batch in which passages recur.
func TestPaperEqualsPyTorchOverTheDuplicatedBatch(t *testing.T) {
	g := readGolden(t).Paper
	require.Greater(t, g.Count[0], float32(1), "the golden step has passages that recur")
	for _, row := range g.Rows {
		r := loss.Row{List: row.List, Teacher: row.Teacher, Positive: row.Positive, Count: g.Count}
		paper := loss.Paper()
		require.InEpsilon(t, row.KL, value(t, paper[0].Loss, &r, row.Sim), 1e-12)
		require.InEpsilon(t, row.InfoNCE, value(t, paper[1].Loss, &r, row.Sim), 1e-12)
		requireLoss(t, paper, &r, row.Sim, row.KL+0.1*row.InfoNCE, row.Grad)
	}
}

func columns(n int) []int32 {
	c := make([]int32, n)
	for i := range c {
		c[i] = int32(i)
	}
	return c
}

func value(t *testing.T, l loss.Loss, r *loss.Row, sim []float32) float64 {
	t.Helper()
	v, err := l.Row(r, sim, make([]float32, len(sim)), 1)
	require.NoError(t, err)
	return v
}

// requireLoss wants the loss to float64's rounding and the gradient to float32's.
func requireLoss(t *testing.T, l loss.Loss, r *loss.Row, sim []float32, want float64, wantGrad []float64) {
	t.Helper()
	grad := make([]float32, len(sim))
	got, err := l.Row(r, sim, grad, 1)
	require.NoError(t, err)
	require.InDelta(t, want, got, 1e-12*max(1, want))
	require.Len(t, wantGrad, len(grad))
	for i, w := range wantGrad {
		require.InDeltaf(t, w, grad[i], 5e-7*max(1, w, -w), "column %d", i)
	}
}
