package eval

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// testdata/make_holm.py wrote the golden file.
func TestHolmAgreesWithStatsmodels(t *testing.T) {
	text, err := os.ReadFile("testdata/holm.json")
	require.NoError(t, err)
	var cases []struct {
		Name        string
		P, Adjusted []float64
	}
	require.NoError(t, json.Unmarshal(text, &cases))
	require.Len(t, cases, 8)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			before := slices.Clone(c.P)
			require.InDeltaSlice(t, c.Adjusted, Holm(c.P), 1e-15)
			require.Equal(t, before, c.P, "the values given are as they were")
		})
	}
}

func TestHolmLeavesOutWhatCouldNotBeTested(t *testing.T) {
	got := Holm([]float64{.01, math.NaN(), .02})
	require.Equal(t, .02, got[0])
	require.True(t, math.IsNaN(got[1]))
	require.Equal(t, .02, got[2])
	require.Empty(t, Holm(nil))
}

// Adjusted values are never below the given ones nor above Bonferroni's, and keep their order.
func TestHolmLiesBetweenTheValuesAndBonferroni(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		p := make([]float64, 1+r.IntN(20))
		for i := range p {
			p[i] = math.Round(r.Float64()*50) / 50
		}
		adjusted := Holm(p)
		for i := range p {
			require.GreaterOrEqual(t, adjusted[i], p[i])
			require.LessOrEqual(t, adjusted[i], min(1, p[i]*float64(len(p))))
			for j := range p {
				if p[i] <= p[j] {
					require.LessOrEqual(t, adjusted[i], adjusted[j])
				}
			}
		}
	}
}

func ExampleHolm() {
	fmt.Println(Holm([]float64{.04, .01, .03}))
	// Output: [0.06 0.03 0.06]
}
