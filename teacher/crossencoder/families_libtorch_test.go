//go:build libtorch

package crossencoder

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
)

// The reference is PyTorch's autograd through transformers' model.
func TestGradientsOfEveryFamilyEqualPyTorch(t *testing.T) {
	for name, g := range readFamilies(t) {
		t.Run(name, func(t *testing.T) {
			dir := familyFolder(t, name, g)
			for _, budget := range []int{60, 1000} {
				st, groups := stepperOf(t, dir, budget)
				loss, err := st.gradient(t.Context(), groups)
				require.NoError(t, err)
				require.InDelta(t, g.Loss, loss, 1e-5)
				got := gradients(t, st)
				require.Len(t, got, len(g.Gradients))
				for key, values := range got {
					want, ok := g.Gradients[key]
					require.True(t, ok, key)
					// A key's bias has no gradient but rounding: softmax does not see it.
					for k, have := range projections(values) {
						require.InDelta(t, want[k], have, 1e-4*want[0]+2e-5, "%s, projection %d, budget %d", key, k, budget)
					}
				}
			}
		})
	}
}

// projections returns the L2 norm of a gradient and its scalar products with cos(k (i + 1)), k = 1, 2, 3.
func projections(g []float32) (p [4]float64) {
	for i, v := range g {
		p[0] += float64(v) * float64(v)
		for k := 1; k < 4; k++ {
			p[k] += float64(v) * math.Cos(float64(k)*float64(i+1))
		}
	}
	p[0] = math.Sqrt(p[0])
	return p
}

// Every family is trained from an encoder without a head and from a reranker, saved, opened again, and scores the same in
// sentence-transformers 6.2 and transformers 5.24.
func TestTrainedRerankersOfEveryFamilyLoadInPython(t *testing.T) {
	corpus, examples := boats(t, 8)
	o := trainOptions()
	o.Epochs, o.LR = 1, 1e-3
	lists := readGolden(t).lists()
	var saved []string
	for name, g := range readFamilies(t) {
		starts := map[string]string{"reranker": familyFolder(t, name, g)}
		if len(g.Config) == 0 {
			starts["encoder"] = filepath.Join(encoders, name)
		}
		for kind, start := range starts {
			dir := t.TempDir()
			out := filepath.Join(dir, name)
			_, err := Train(t.Context(), start, out, corpus, examples, o)
			require.NoError(t, err, "%s from the %s", name, kind)
			m := openModel(t, out, Options{})
			require.NotEqual(t, g.Cases[0].Scores, scoreAll(t, m, lists))
			scores := filepath.Join(dir, "scores.json")
			require.NoError(t, jsonfile.Write(scores, map[string]any{"pairs": contents(lists), "scores": scoreAll(t, m, lists)}))
			if name != "new" { // its Python code is on the Hugging Face hub
				saved = append(saved, out, scores)
			}
			var config struct {
				ModelType     string   `json:"model_type"`
				Architectures []string `json:"architectures"`
			}
			require.NoError(t, jsonfile.Read(filepath.Join(out, encodernet.ConfigFile), &config))
			require.Equal(t, m.folder.config.ModelType, config.ModelType)
			require.Equal(t, []string{m.folder.architecture()}, config.Architectures)
		}
	}
	python := os.Getenv("RETORT_PYTHON")
	if python == "" {
		t.Skip("set RETORT_PYTHON to a Python that has sentence-transformers")
	}
	printed, err := exec.Command(python, append([]string{"-B", "testdata/check_st.py"}, saved...)...).CombinedOutput()
	require.NoError(t, err, "%s", printed)
	require.NotContains(t, string(printed), "MISSING")
}

func TestBFloat16StaysNearFloat32(t *testing.T) {
	g := readGolden(t)
	c := g.Models["bert"][0]
	m := openModel(t, "testdata/bert", Options{Precision: "bf16"})
	require.InDeltaSlice(t, c.Scores, scoreAll(t, m, g.lists()), 0.1*spread(c.Scores))
}

func TestTheFingerprintTellsPrecisionsApart(t *testing.T) {
	require.NotEqual(t, openModel(t, "testdata/bert", Options{}).Fingerprint(),
		openModel(t, "testdata/bert", Options{Precision: "bf16"}).Fingerprint())
}
