//go:build libtorch

package transformer

import (
	"bytes"
	"io"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/torch"
)

func keepsTheContract(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, encodertest.TestEncoder(t.Context(), func() (encoder.Trainable, error) {
		return Open(t.Context(), dir, Options{BatchTokens: 128})
	}, encodertest.Tolerances{}))
}

func TestModelKeepsTheContract(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-cls"} {
		t.Run(name, func(t *testing.T) {
			keepsTheContract(t, filepath.Join("testdata", name))
		})
	}
}

// Cut vectors learn as whole ones do: their gradients are checked too.
func TestModelOfCutVectorsKeepsTheContract(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		write(t, dir, sentenceTransformersJSON, `{"truncate_dim":12,"prompts":{"query":"query: ","document":"passage: "}}`)
	})
	keepsTheContract(t, dir)
}

func TestModelThatRanksByDotProductIsNotTrained(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		write(t, dir, sentenceTransformersJSON, `{"similarity_fn_name":"dot","truncate_dim":12}`)
	})
	m := openModel(t, dir, Options{})
	require.False(t, m.Normalized())
	require.ErrorContains(t, m.CheckTraining(), dir+"/config_sentence_transformers.json: similarity_fn_name is dot")
	in, err := m.Prepare(t.Context(), encoder.Query, []string{"text"})
	require.NoError(t, err)
	_, err = m.Forward(t.Context(), in, []int{0}, true)
	require.ErrorContains(t, err, "similarity_fn_name is dot")
	pass, err := m.Forward(t.Context(), in, []int{0}, false)
	require.NoError(t, err)
	require.NoError(t, pass.Close())
	require.NotEqual(t, m.Fingerprint(), openModel(t, "testdata/tiny", Options{}).Fingerprint())
	require.NoError(t, openModel(t, "testdata/tiny", Options{}).CheckTraining())
}

// The reference is PyTorch's autograd through sentence-transformers' model.
func TestGradientsEqualPyTorch(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-cls"} {
		t.Run(name, func(t *testing.T) {
			g := readModelGolden(t, name)
			m := openModel(t, filepath.Join("testdata", name), Options{})
			in, err := m.Prepare(t.Context(), encoder.Passage, g.Passage.Texts)
			require.NoError(t, err)
			for _, rows := range [][2]int{{0, 7}, {7, len(g.Upstream)}} { // two micro-batches, added up
				pass, err := m.Forward(t.Context(), in, span(rows[0], rows[1]), true)
				require.NoError(t, err)
				require.NoError(t, pass.Backward(matrixOf(g.Upstream[rows[0]:rows[1]])))
				require.NoError(t, pass.Close())
			}
			requireGradients(t, filepath.Join("testdata", name+"-gradients.safetensors"), m)
		})
	}
}

func TestSavedModelsAreTheSameWhenReopened(t *testing.T) {
	g := readModelGolden(t, "tiny")
	for name, prepare := range map[string]func(*testing.T, *Model){
		"one tower":   func(*testing.T, *Model) {},
		"two towers":  func(t *testing.T, m *Model) { require.NoError(t, m.SplitTowers()) },
		"saved twice": func(t *testing.T, m *Model) { require.NoError(t, m.Save(filepath.Join(t.TempDir(), "before"))) },
	} {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, "testdata/tiny", Options{})
			start := encode(t, m, encoder.Passage, g.Passage.Texts)
			prepare(t, m)
			train(t, m, g)
			dir := filepath.Join(t.TempDir(), "model")
			require.NoError(t, m.Save(dir))
			again := openModel(t, dir, Options{})
			require.Equal(t, encode(t, m, encoder.Query, g.Query.Texts), encode(t, again, encoder.Query, g.Query.Texts))
			passages := encode(t, again, encoder.Passage, g.Passage.Texts)
			require.Equal(t, encode(t, m, encoder.Passage, g.Passage.Texts), passages)
			if name == "two towers" {
				require.Equal(t, start, passages, "passage vectors of a query-only student are the start's, bit for bit")
			}
		})
	}
}

func TestBothTowersOfARouterLearnUntilTheyAreSplit(t *testing.T) {
	g := readModelGolden(t, "tiny-router")
	m := openModel(t, "testdata/tiny-router", Options{})
	both := len(m.Parameters())
	before := encode(t, m, encoder.Passage, g.Passage.Texts)
	train(t, m, g)
	after := encode(t, m, encoder.Passage, g.Passage.Texts)
	require.NotEqual(t, before, after)

	var state bytes.Buffer
	require.NoError(t, m.SaveState(&state))
	require.NoError(t, m.SplitTowers())
	require.Less(t, len(m.Parameters()), both)
	train(t, m, g)
	require.Equal(t, after, encode(t, m, encoder.Passage, g.Passage.Texts))
	require.ErrorContains(t, m.LoadState(bytes.NewReader(state.Bytes())), "other towers learning")
}

func TestBFloat16StaysNearFloat32(t *testing.T) {
	g := readModelGolden(t, "tiny")
	got := encode(t, openModel(t, "testdata/tiny", Options{Precision: "bf16"}), encoder.Passage, g.Passage.Texts)
	for i, want := range g.Passage.Embeddings {
		require.Greater(t, blas32.Dot(blas32.Vector{N: got.Cols, Inc: 1, Data: got.Data[i*got.Stride:]},
			blas32.Vector{N: got.Cols, Inc: 1, Data: want}), float32(.99))
	}
}

func TestBadOptionsAndUseAfterClose(t *testing.T) {
	for want, o := range map[string]Options{
		"Precision": {Precision: "fp8"}, "Threads": {Threads: -1},
		"BatchTokens": {BatchTokens: -1},
	} {
		_, err := Open(t.Context(), "testdata/tiny", o)
		require.ErrorContains(t, err, want)
	}
	m := openModel(t, "testdata/tiny", Options{})
	_, err := m.Encode(t.Context(), encoder.Role(7), []string{"text"})
	require.ErrorContains(t, err, "role 7")
	for _, split := range []bool{false, true} {
		m := openModel(t, "testdata/tiny", Options{})
		if split {
			require.NoError(t, m.SplitTowers())
		}
		var state bytes.Buffer
		require.NoError(t, m.SaveState(&state))
		in, err := m.Prepare(t.Context(), encoder.Query, []string{"text"})
		require.NoError(t, err)
		pass, err := m.Forward(t.Context(), in, []int{0}, true)
		require.NoError(t, err)
		require.NoError(t, pass.Close())
		require.NoError(t, m.Close())
		require.NoError(t, m.Close())
		for name, use := range map[string]func() error{
			"Encode":        func() error { _, err := m.Encode(t.Context(), encoder.Query, []string{"text"}); return err },
			"Forward":       func() error { _, err := m.Forward(t.Context(), in, []int{0}, true); return err },
			"Step":          func() error { _, err := m.Step(encoder.Update{Eps: 1}); return err },
			"ZeroGradients": m.ZeroGradients,
			"SplitTowers":   m.SplitTowers,
			"SaveState":     func() error { return m.SaveState(io.Discard) },
			"LoadState":     func() error { return m.LoadState(&state) },
			"Save":          func() error { return m.Save(filepath.Join(t.TempDir(), "model")) },
		} {
			require.ErrorIs(t, use(), torch.ErrClosed, "%s, split %v", name, split)
		}
		require.Empty(t, m.Parameters())
		require.Empty(t, m.Fingerprint())
	}
}

func TestEncodeLeavesNoTensors(t *testing.T) {
	g := readModelGolden(t, "tiny")
	m := openModel(t, "testdata/tiny", Options{})
	train(t, m, g)
	before := m.rt.Live()
	for range 3 {
		encode(t, m, encoder.Passage, g.Passage.Texts)
		train(t, m, g)
	}
	require.Equal(t, before, m.rt.Live())
}

// train makes one step on both roles.
func train(t *testing.T, m *Model, g golden) {
	t.Helper()
	for role, texts := range map[encoder.Role][]string{encoder.Query: g.Query.Texts, encoder.Passage: g.Passage.Texts} {
		if m.frozen && role == encoder.Passage {
			continue
		}
		in, err := m.Prepare(t.Context(), role, texts)
		require.NoError(t, err)
		pass, err := m.Forward(t.Context(), in, span(0, len(texts)), true)
		require.NoError(t, err)
		grad := matrix.New(len(texts), m.Dim())
		for i := range grad.Data {
			grad.Data[i] = float32(i%7) - 3
		}
		require.NoError(t, pass.Backward(grad))
		require.NoError(t, pass.Close())
	}
	_, err := m.Step(encoder.Update{LR: .01, WeightDecay: .01, Beta1: .9, Beta2: .999, Eps: 1e-8, ClipNorm: 1})
	require.NoError(t, err)
}

func matrixOf(rows [][]float32) blas32.General {
	m := matrix.New(len(rows), len(rows[0]))
	for i, row := range rows {
		copy(matrix.Row(m, i), row)
	}
	return m
}

func span(from, to int) []int {
	rows := make([]int, to-from)
	for i := range rows {
		rows[i] = from + i
	}
	return rows
}

func distance(a, b []float32) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i]-b[i]) * float64(a[i]-b[i])
	}
	return math.Sqrt(sum)
}

func length(a []float32) float64 { return distance(a, make([]float32, len(a))) }
