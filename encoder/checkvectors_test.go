package encoder_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
)

func TestCheckVectorsKnowsTheModelThatMadeAnIndex(t *testing.T) {
	open := func(seed uint64, dim int) *encodertest.Encoder {
		e, err := encodertest.New(encodertest.Options{Seed: seed, Dim: dim})
		require.NoError(t, err)
		return e
	}
	passages := []string{"sorts a slice", "reads a file"}
	vectors, err := open(1, 16).Encode(t.Context(), encoder.Passage, passages)
	require.NoError(t, err)
	changed := func(i int, factor float32) blas32.General {
		m := vectors
		m.Data = slices.Clone(m.Data)
		m.Data[i] *= factor
		return m
	}
	one := blas32.General{Rows: 1, Cols: 16, Stride: 16, Data: vectors.Data[:16]}
	largest := 0
	for i, v := range vectors.Data {
		if math.Abs(float64(v)) > math.Abs(float64(vectors.Data[largest])) {
			largest = i
		}
	}
	for name, test := range map[string]struct {
		model   *encodertest.Encoder
		vectors blas32.General
		want    string
	}{
		"the same model":             {open(1, 16), vectors, ""},
		"stored in half precision":   {open(1, 16), changed(largest, 1.0004), ""},
		"another model":              {open(2, 16), vectors, `"sorts a slice" differs`},
		"one passage of two":         {open(1, 16), changed(largest, 1.1), "differs"},
		"another width":              {open(1, 8), vectors, "stored vectors"},
		"a stored value that is NaN": {open(1, 16), changed(largest, float32(math.NaN())), "differs"},
		"fewer vectors":              {open(1, 16), one, "stored vectors"},
	} {
		t.Run(name, func(t *testing.T) {
			err := encoder.CheckVectors(t.Context(), test.model, passages, test.vectors)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
	require.ErrorContains(t, encoder.CheckVectors(t.Context(), open(1, 16), nil, blas32.General{}), "no passages")
}

func TestCheckVectorsRefusesAPassageTowerThatHasLearnt(t *testing.T) {
	passages := []string{"sorts a slice"}
	for _, queryOnly := range []bool{true, false} {
		e, err := encodertest.New(encodertest.Options{Seed: 1})
		require.NoError(t, err)
		vectors, err := e.Encode(t.Context(), encoder.Passage, passages)
		require.NoError(t, err)
		if queryOnly {
			require.NoError(t, e.SplitTowers())
		}
		step(t, e, encoder.Query)
		if err := encoder.CheckVectors(t.Context(), e, passages, vectors); queryOnly {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "differs")
		}
	}
}

// step trains a model by one large step on a text.
func step(t *testing.T, e encoder.Trainable, role encoder.Role) {
	t.Helper()
	in, err := e.Prepare(t.Context(), role, []string{"sorts a slice"})
	require.NoError(t, err)
	pass, err := e.Forward(t.Context(), in, []int{0}, true)
	require.NoError(t, err)
	grad := pass.Embeddings()
	grad.Data = slices.Clone(grad.Data)
	grad.Data[0]++
	require.NoError(t, pass.Backward(grad))
	_, err = e.Step(encoder.Update{LR: 1, Beta1: .9, Beta2: .999, Eps: 1e-8})
	require.NoError(t, err)
	require.NoError(t, pass.Close())
}
