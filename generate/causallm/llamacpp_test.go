//go:build libtorch

package causallm

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// llamacppPlace holds the logarithms of all tokens' probabilities behind the first tokens of a text.
type llamacppPlace struct {
	Length   int
	Logprobs []float64
}

// testdata/tiny_llamacpp.py wrote the numbers, to four digits: the reference is llama.cpp as xllamacpp 2026.10.11549
// packs it. It looks Gemma's GELU up in a table of 16-bit floats. From blocks it multiplies by activations that it has
// rounded to 8 bits, and Retort, in integers, by activations rounded to 16.
func TestLogitsEqualLlamaCpps(t *testing.T) {
	raw, err := os.ReadFile("testdata/tiny_llamacpp.json")
	require.NoError(t, err)
	var goldens map[string]struct {
		IDs           []int32
		Places, Exact []llamacppPlace
	}
	require.NoError(t, json.Unmarshal(raw, &goldens))
	files, err := filepath.Glob("testdata/*.gguf")
	require.NoError(t, err)
	require.Len(t, goldens, len(files))
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, tiny(name+".gguf"), Options{})
			require.Equal(t, g.Exact != nil, m.network.team != nil, "quantised weights stay so")
			if g.Exact == nil {
				tolerance := 2e-4
				if m.network.config.geluTanh {
					tolerance = 1e-2
				}
				requireNear(t, m, g.IDs, g.Places, tolerance)
				return
			}
			requireNear(t, m, g.IDs, g.Places, 1)
			if m.network.team.integers {
				requireNear(t, m, g.IDs, g.Exact, 1e-2)
				m.network.team.integers = false
			}
			requireNear(t, m, g.IDs, g.Exact, 2e-4)
		})
	}
}

// requireNear checks that the logarithms of all tokens' probabilities differ by less than the tolerance.
func requireNear(t *testing.T, m *Model, ids []int32, places []llamacppPlace, tolerance float64) {
	t.Helper()
	difference := differenceOf(t, m, ids, places)
	t.Logf("the logarithms of probabilities differ by %.5f at most", difference)
	require.Less(t, difference, tolerance)
}

// differenceOf returns by how much the logarithm of a token's probability differs at most.
func differenceOf(t *testing.T, m *Model, ids []int32, places []llamacppPlace) float64 {
	t.Helper()
	require.NotEmpty(t, places)
	most := 0.0
	for _, place := range places {
		logits := allLogits(t, m, ids[:place.Length])
		logits = logits[len(logits)-m.network.config.vocab:]
		require.True(t, len(logits) == len(place.Logprobs))
		total := 0.0
		for _, v := range logits {
			total += math.Exp(float64(v))
		}
		for i, v := range logits {
			most = max(most, math.Abs(float64(v)-math.Log(total)-place.Logprobs[i]))
		}
	}
	return most
}
