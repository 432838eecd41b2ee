package eval

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden is what trec_eval and scipy say; testdata/make_golden.py wrote it.
type golden struct {
	Evaluations []struct {
		Name, Qrels, Run string
		Queries          map[string]map[string]float64
		Means            map[string]float64
	}
	Comparisons []struct {
		Name                string
		Before, After       []float64
		Delta, P, Low, High float64
		Exact               bool
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(text, &g))
	return g
}

func TestEvaluateAgreesWithTrecEval(t *testing.T) {
	const tolerance = 1e-12
	for _, c := range readGolden(t).Evaluations {
		t.Run(c.Name, func(t *testing.T) {
			qrels, err := readQrels(strings.NewReader(c.Qrels), "qrels")
			require.NoError(t, err)
			run, err := readRun(strings.NewReader(c.Run), "run")
			require.NoError(t, err)
			require.Len(t, c.Means, 21)
			for name, want := range c.Means {
				m, err := ParseMetric(name)
				require.NoError(t, err)
				report, err := Evaluate(qrels, run, m)
				require.NoError(t, err)
				require.InDelta(t, want, report.Mean(m), tolerance, name)
				require.Len(t, report.Queries, len(c.Queries))
				for i, query := range report.Queries {
					require.InDelta(t, c.Queries[query][name], report.Of(m)[i], tolerance, "%s of query %s", name, query)
				}
			}
		})
	}
}

func TestPairedAgreesWithScipy(t *testing.T) {
	for _, c := range readGolden(t).Comparisons {
		t.Run(c.Name, func(t *testing.T) {
			got, err := Paired(context.Background(), c.Before, c.After, 1)
			require.NoError(t, err)
			require.InDelta(t, c.Delta, got.Delta, 1e-12)
			if c.Exact {
				require.InDelta(t, c.P, got.P, 1e-12)
			} else {
				require.InDelta(t, c.P, got.P, .008) // five standard errors of 100,000 draws
			}
			spread := c.High - c.Low
			require.InDelta(t, c.Low, got.Low, .03*spread+1e-12)
			require.InDelta(t, c.High, got.High, .03*spread+1e-12)
		})
	}
}
