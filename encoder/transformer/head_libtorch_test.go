//go:build libtorch

package transformer

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/safetensors"
)

// The reference is PyTorch's autograd through sentence-transformers' modules.
func TestGradientsOfModulesAfterThePoolingEqualPyTorch(t *testing.T) {
	g := readModelGolden(t, "dense")
	m := openModel(t, denseFolder(t, func(string) {}), Options{})
	in, err := m.Prepare(t.Context(), encoder.Passage, g.Passage.Texts)
	require.NoError(t, err)
	pass, err := m.Forward(t.Context(), in, span(0, len(g.Upstream)), true)
	require.NoError(t, err)
	require.NoError(t, pass.Backward(matrixOf(g.Upstream)))
	require.NoError(t, pass.Close())
	requireGradients(t, "testdata/dense-gradients.safetensors", m)
}

func requireGradients(t *testing.T, path string, m *Model) {
	t.Helper()
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.Len(t, f.Names(), len(m.Parameters()))
	for _, p := range m.Parameters() {
		_, want, err := f.Tensor(p.Name)
		require.NoError(t, err)
		got, err := p.Grad()
		require.NoError(t, err)
		// A key's bias has no gradient but rounding: softmax does not see it.
		require.InDelta(t, 0, distance(want, got), 1e-5*length(want)+1e-5, p.Name)
	}
}

func TestModulesAfterThePoolingLearnAndAreSaved(t *testing.T) {
	g := readModelGolden(t, "dense")
	dir := denseFolder(t, func(string) {})
	// Not with max, which has kinks: a finite difference across one is not the gradient.
	keepsTheContract(t, denseFolder(t, func(dir string) {
		write(t, dir, "1_Pooling/config.json", `{"pooling_mode":["cls","mean"],"include_prompt":false}`)
	}))
	reordered := denseFolder(t, func(dir string) {
		write(t, dir, "1_Pooling/config.json", `{"pooling_mode":["max","mean"],"include_prompt":false}`)
	})
	var folders checked
	for name, split := range map[string]bool{"one tower": false, "two towers": true} {
		t.Run(name, func(t *testing.T) {
			source := dir
			if split {
				source = reordered
			}
			m := openModel(t, source, Options{})
			start := encode(t, m, encoder.Passage, g.Passage.Texts)
			print := m.Fingerprint()
			if split {
				require.NoError(t, m.SplitTowers())
			}
			train(t, m, g)
			require.NotEqual(t, print, m.Fingerprint())
			out := filepath.Join(t.TempDir(), "model")
			require.NoError(t, m.Save(out))
			again := openModel(t, out, Options{})
			folders.add(t, out, map[string]embedded{
				"query":   embeddedBy(t, m, encoder.Query, g.Query.Texts),
				"passage": embeddedBy(t, m, encoder.Passage, g.Passage.Texts),
			})
			require.Equal(t, encode(t, m, encoder.Query, g.Query.Texts), encode(t, again, encoder.Query, g.Query.Texts))
			passages := encode(t, again, encoder.Passage, g.Passage.Texts)
			require.Equal(t, encode(t, m, encoder.Passage, g.Passage.Texts), passages)
			if split {
				require.Equal(t, start, passages)
			} else {
				require.NotEqual(t, start, passages)
			}
			var state bytes.Buffer
			require.NoError(t, m.SaveState(&state))
			other := openModel(t, source, Options{})
			if split {
				require.NoError(t, other.SplitTowers())
			}
			require.NoError(t, other.LoadState(&state))
			require.Equal(t, m.Fingerprint(), other.Fingerprint())
		})
	}
	folders.inPython(t)
}

// The gradients are compared with finite differences.
func TestEveryPoolingKeepsTheContract(t *testing.T) {
	for _, config := range []string{
		`{"pooling_mode":["max","weightedmean"]}`,
		`{"pooling_mode":["lasttoken","mean_sqrt_len_tokens","cls"],"include_prompt":false}`,
	} {
		t.Run(config, func(t *testing.T) {
			keepsTheContract(t, changedFolder(t, "tiny", func(dir string) { write(t, dir, "1_Pooling/config.json", config) }))
		})
	}
}

func TestPoolingDecidesTheFingerprint(t *testing.T) {
	seen := map[string]bool{}
	for _, config := range []string{`{}`, `{"include_prompt":false}`, `{"pooling_mode":"max"}`, `{"pooling_mode":["max","mean"]}`} {
		dir := changedFolder(t, "tiny", func(dir string) { write(t, dir, "1_Pooling/config.json", config) })
		seen[openModel(t, dir, Options{}).Fingerprint()] = true
	}
	require.Len(t, seen, 4)
}
