// GoMLX 0.26, which hugot computes with, has a data race of its own: the race detector would report it.

//go:build !race

package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
)

const testdata = "../../encoder/transformer/testdata"

// The reference is sentence-transformers 6.2, which made the goldens.
func TestHugotComputesTheGoldens(t *testing.T) {
	for _, name := range []string{"tiny", "families/mpnet", "families/distilbert", "families/new", "families/nomic_bert"} {
		t.Run(name, func(t *testing.T) {
			var golden struct {
				Query, Passage struct {
					Texts      []string
					Embeddings [][]float64
				}
			}
			raw, err := os.ReadFile(filepath.Join(testdata, name+".json"))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(raw, &golden))
			folder, err := transformer.ReadFolder(filepath.Join(testdata, name), transformer.Options{})
			require.NoError(t, err)
			dir := filepath.Join(t.TempDir(), "model")
			require.NoError(t, folder.ExportONNX(t.Context(), dir))
			var texts []string
			var want [][]float64
			for i, text := range golden.Query.Texts {
				// hugot 0.6.1 keeps accents that BERT strips, and cuts the last special token off a long text.
				_, cut, err := folder.Query.Tokenize(text)
				require.NoError(t, err)
				if !cut && isASCII(text) {
					texts, want = append(texts, text), append(want, golden.Query.Embeddings[i])
				}
			}
			require.Greater(t, len(texts), 5)
			got, err := encode(dir, encoder.Query, texts)
			require.NoError(t, err)
			for i, v := range got {
				require.GreaterOrEqual(t, cosine(v, want[i]), .99999, texts[i])
			}
		})
	}
}

func cosine(a []float32, b []float64) float64 {
	var dot, aa, bb float64
	for i, v := range a {
		dot += float64(v) * b[i]
		aa += float64(v) * float64(v)
		bb += b[i] * b[i]
	}
	return dot / math.Sqrt(aa*bb)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
