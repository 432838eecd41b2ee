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

// testdata/tiny_llamacpp.py wrote the numbers, to four digits: the reference is llama.cpp as xllamacpp 2026.10.11549 packs it. It
// looks Gemma's GELU up in a table of 16-bit floats. From blocks it multiplies by activations that it has rounded to 8 bits.
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
			require.Equal(t, name == "quantised", m.network.team != nil, "quantised weights stay so")
			exact := g.Places
			if g.Exact != nil {
				exact = g.Exact
				difference := differenceOf(t, m, g.IDs, g.Places)
				t.Logf("from blocks the logarithms of probabilities differ by %.3f", difference)
				require.Less(t, difference, 1.0)
			}
			difference := differenceOf(t, m, g.IDs, exact)
			t.Logf("from float32 the logarithms of probabilities differ by %.5f", difference)
			tolerance := 2e-4
			if m.network.config.geluTanh {
				tolerance = 1e-2
			}
			require.Less(t, difference, tolerance)
		})
	}
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
