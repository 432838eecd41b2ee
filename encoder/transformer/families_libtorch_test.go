//go:build libtorch

package transformer

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/safetensors"
)

// The reference is PyTorch's autograd through sentence-transformers' model.
func TestGradientsOfEveryFamilyEqualPyTorch(t *testing.T) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			g := readFamilyGolden(t, name)
			m := openFamily(t, name, Options{})
			backwardFamily(t, m, g)
			require.Len(t, m.Parameters(), len(g.Gradients))
			for _, p := range m.Parameters() {
				want, ok := g.Gradients[p.Name]
				require.True(t, ok, p.Name)
				grad, err := p.Grad()
				require.NoError(t, err)
				got := projections(grad)
				for k := range want {
					// A key's bias has no gradient but rounding: softmax does not see it.
					require.InDelta(t, want[k], got[k], 1e-4*want[0]+2e-5, "%s, projection %d", p.Name, k)
				}
			}
		})
	}
}

// backwardFamily pushes the gradient of the golden through the passages, in two micro-batches.
func backwardFamily(t *testing.T, m *Model, g familyGolden) {
	in, err := m.Prepare(t.Context(), encoder.Passage, g.Passage.Texts)
	require.NoError(t, err)
	upstream := familyUpstream(len(g.Passage.Texts), m.Dim())
	for _, rows := range [][2]int{{0, 7}, {7, len(upstream)}} {
		pass, err := m.Forward(t.Context(), in, span(rows[0], rows[1]), true)
		require.NoError(t, err)
		require.NoError(t, pass.Backward(matrixOf(upstream[rows[0]:rows[1]])))
		require.NoError(t, pass.Close())
	}
}

// The contract includes that training goes on from a saved state with the same bits.
func TestEveryFamilyKeepsTheContract(t *testing.T) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			keepsTheContract(t, filepath.Join("testdata", familyFolder(name)))
		})
	}
}

// A model that was trained, saved and opened again, with one tower and with two, gives the same vectors in Retort and in
// sentence-transformers 6.2, and keeps the family's names.
func TestTrainedModelsOfEveryFamilyAreSavedAsTheyCame(t *testing.T) {
	var folders checked
	for _, name := range families {
		for _, towers := range []int{1, 2} {
			g := readFamilyGolden(t, name)
			m := openFamily(t, name, Options{})
			if towers == 2 {
				require.NoError(t, m.SplitTowers())
			}
			before := encode(t, m, encoder.Query, g.Query.Texts)
			train(t, m, golden{Query: g.Query, Passage: g.Passage})
			require.NotEqual(t, before, encode(t, m, encoder.Query, g.Query.Texts))
			dir := filepath.Join(t.TempDir(), name)
			require.NoError(t, m.Save(dir))

			again := openModel(t, dir, Options{})
			passages := append(slices.Clone(g.Passage.Texts), longText(400))
			want := map[string]embedded{
				"query":   embeddedBy(t, m, encoder.Query, g.Query.Texts),
				"passage": embeddedBy(t, m, encoder.Passage, passages),
			}
			require.Equal(t, want["query"], embeddedBy(t, again, encoder.Query, g.Query.Texts))
			require.Equal(t, want["passage"], embeddedBy(t, again, encoder.Passage, passages))
			for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
				tower := again.folder.Side(role).Tower
				requireSameNames(t, m.folder.Side(role).Tower.Dir, tower.Dir)
			}
			if name == "new" {
				asGTE(t, again.folder.Query.Tower.Dir)
				if towers == 2 {
					asGTE(t, again.folder.Passage.Tower.Dir)
				}
			}
			folders.add(t, dir, want)
		}
	}
	folders.inPython(t)
}

// requireSameNames checks that config.json and the weights of a saved tower are those of the family, without a head.
func requireSameNames(t *testing.T, was, is string) {
	var before, after struct {
		ModelType     string   `json:"model_type"`
		Architectures []string `json:"architectures"`
		AutoMap       any      `json:"auto_map"`
	}
	readGolden(t, filepath.Join(was, configJSON), &before)
	readGolden(t, filepath.Join(is, configJSON), &after)
	require.Equal(t, before, after)
	require.Equal(t, bareNames(t, was), bareNames(t, is))
}

func bareNames(t *testing.T, dir string) []string {
	f, err := safetensors.Open(filepath.Join(dir, weightsFile))
	require.NoError(t, err)
	defer f.Close()
	var names []string
	for _, name := range f.Names() {
		if name = strings.TrimPrefix(name, "new."); !strings.HasPrefix(name, "classifier.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// asGTE gives a folder of model_type new, whose Python code is on the Hugging Face hub, the configuration of the same
// network in transformers.
func asGTE(t *testing.T, dir string) {
	changeJSON(t, dir, configJSON, func(j map[string]any) {
		d := j["hidden_size"].(float64) / j["num_attention_heads"].(float64)
		j["model_type"], j["architectures"] = "gte", []string{"GteModel"}
		j["rope_parameters"] = map[string]any{"rope_type": "linear", "rope_theta": 1e6, "factor": math.Pow(2, 2/d)}
		for _, key := range []string{"auto_map", "rope_scaling", "rope_theta"} {
			delete(j, key)
		}
	})
}

// familyUpstream returns the gradient of the loss with respect to the embeddings by the rule of make_families.py.
func familyUpstream(rows, width int) [][]float32 {
	grad := make([][]float32, rows)
	for i := range grad {
		grad[i] = make([]float32, width)
		for j := range grad[i] {
			grad[i][j] = float32(math.Cos(float64(7*i + j + 1)))
		}
	}
	return grad
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
