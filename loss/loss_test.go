package loss_test

import (
	"math"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/loss/losstest"
)

func TestLossesKeepTheContract(t *testing.T) {
	for name, l := range map[string]loss.Loss{
		"InfoNCE":                      loss.InfoNCE{},
		"InfoNCE, mask, tau .05":       loss.InfoNCE{Temperature: 0.05, MaskRatio: 0.6},
		"InfoNCE, mask all but":        loss.InfoNCE{Temperature: 1, MaskRatio: 1e-9},
		"ListwiseKL":                   loss.ListwiseKL{},
		"ListwiseKL, one temperature":  loss.ListwiseKL{TeacherTemperature: 0.02, StudentTemperature: 0.02},
		"MarginMSE":                    loss.MarginMSE{},
		"MarginMSE, scaled":            loss.MarginMSE{Scale: 20},
		"Paper":                        loss.Paper(),
		"a loss of one's own":          squared{},
		"a sum of sums, one of them 0": loss.Sum{{Weight: -0.5, Loss: loss.Paper()}, {Loss: loss.MarginMSE{}}},
	} {
		t.Run(name, func(t *testing.T) { require.NoError(t, losstest.TestLoss(t.Context(), l)) })
	}
}

func TestZeroValuesAreThePaper(t *testing.T) {
	for _, c := range losstest.Cases() {
		want := value(t, loss.Paper(), &c.Row, c.Sim)
		kl := value(t, loss.ListwiseKL{}, &c.Row, c.Sim)
		nce := value(t, loss.InfoNCE{MaskRatio: 0.6}, &c.Row, c.Sim)
		require.InDelta(t, want, kl+0.1*nce, 1e-12*max(1, want), c.Name)
	}
}

func TestValidateNamesTheWrongField(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	type validator interface {
		loss.Loss
		Validate() error
	}
	for _, test := range []struct {
		loss validator
		want string
	}{
		{loss.InfoNCE{Temperature: -1}, "InfoNCE.Temperature is -1"},
		{loss.InfoNCE{Temperature: nan}, "InfoNCE.Temperature is NaN"},
		{loss.InfoNCE{Temperature: inf}, "InfoNCE.Temperature is +Inf"},
		{loss.InfoNCE{Temperature: 5e-324}, "InfoNCE.Temperature is 5e-324"},
		{loss.InfoNCE{MaskRatio: -0.1}, "InfoNCE.MaskRatio is -0.1"},
		{loss.InfoNCE{MaskRatio: 1.1}, "InfoNCE.MaskRatio is 1.1"},
		{loss.InfoNCE{MaskRatio: nan}, "InfoNCE.MaskRatio is NaN"},
		{loss.ListwiseKL{TeacherTemperature: -1}, "ListwiseKL.TeacherTemperature is -1"},
		{loss.ListwiseKL{StudentTemperature: nan}, "ListwiseKL.StudentTemperature is NaN"},
		{loss.MarginMSE{Scale: -2}, "MarginMSE.Scale is -2"},
		{loss.Sum{}, "a sum without terms"},
		{loss.Sum{{Weight: 1, Loss: loss.InfoNCE{}}, {Weight: 1}}, "term 1 of a loss.Sum: no Loss"},
		{loss.Sum{{Weight: nan, Loss: loss.InfoNCE{}}}, "term 0 of a loss.Sum: the Weight is NaN"},
		{loss.Sum{{Weight: 1, Loss: loss.MarginMSE{Scale: inf}}}, "term 0 of a loss.Sum: loss: MarginMSE.Scale is +Inf"},
	} {
		require.ErrorContains(t, test.loss.Validate(), test.want)
		_, err := test.loss.Row(&loss.Row{ID: "q7", Positive: -1}, nil, nil, 1)
		require.ErrorContains(t, err, test.want)
		require.ErrorContains(t, err, `"q7"`)
	}
	for _, l := range []validator{
		loss.InfoNCE{},
		loss.InfoNCE{MaskRatio: 1},
		loss.ListwiseKL{},
		loss.MarginMSE{},
		loss.Paper(),
	} {
		require.NoError(t, l.Validate())
	}
}

func TestListwiseKLTakesAnyFiniteTeacherScores(t *testing.T) {
	r := loss.Row{ID: "q7", List: []int32{0, 1}, Teacher: []float64{math.MaxFloat64, -math.MaxFloat64}}
	sim := []float32{0.5, 0.5}
	// All of P stands on the first, so KL = -log Q_0.
	requireLoss(t, loss.ListwiseKL{}, &r, sim, math.Ln2, []float64{-10, 10})
	// At such a similarity even log Q is out of range.
	_, err := loss.ListwiseKL{StudentTemperature: 1e-308}.Row(&r, []float32{-1, 3e38}, make([]float32, 2), 1)
	require.ErrorContains(t, err, `"q7"`)

	// Scores on the student's own scale, at its temperature: no loss where they agree.
	r.Teacher = []float64{0.5, 0.5}
	requireLoss(t, loss.ListwiseKL{TeacherTemperature: 0.05}, &r, sim, 0, []float64{0, 0})
}

func TestMarginMSEWithoutAPositiveTakesTheTeachersFirst(t *testing.T) {
	r := loss.Row{ID: "q7", List: []int32{2, 1, 0}, Teacher: []float64{0.25, 1, 1}, Positive: -1}
	sim := []float32{0.5, 0.75, 0.25}
	// Margins of column 1: student .5 and .25, teacher .75 and 0.
	requireLoss(t, loss.MarginMSE{}, &r, sim, (0.25*0.25+0.25*0.25)/2, []float64{-0.25, 0, 0.25})

	r.List, r.Teacher, r.Positive = r.List[:2], r.Teacher[:2], 0
	_, err := loss.MarginMSE{}.Row(&r, sim, make([]float32, 3), 1)
	require.ErrorContains(t, err, `"q7"`)
	require.ErrorContains(t, err, "not in the list")
}

// A loss is imported by services and tests alike: it must stay as light as the vectors that it works on.
func TestLossImportsOnlyTheStandardLibraryAndBLASTypes(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go tool to list the imports with")
	}
	for _, pkg := range []string{".", "./losstest"} {
		out, err := exec.Command(tool, "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg).Output()
		require.NoError(t, err)
		found := strings.Fields(string(out))
		require.Contains(t, found, "github.com/retort-ir/retort/loss")
		for _, p := range found {
			ours := strings.HasPrefix(p,
				"github.com/retort-ir/retort/loss") || p == "github.com/retort-ir/retort/internal/contract"
			blas := strings.HasPrefix(p, "gonum.org/v1/gonum/blas") || strings.HasPrefix(p, "gonum.org/v1/gonum/internal/")
			require.Truef(t, ours || blas, "%s pulls in %s", pkg, p)
		}
	}
}
