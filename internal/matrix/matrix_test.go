package matrix_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
)

// gapped is [3 x 2] with one value between rows, and none behind the last.
func gapped() blas32.General {
	return blas32.General{Rows: 3, Cols: 2, Stride: 3, Data: []float32{1, 2, -1, 3, 4, -1, 5, 6}}
}

func TestRowsSkipTheGapsAndShareMemory(t *testing.T) {
	m := gapped()
	require.Equal(t, []float32{1, 2}, matrix.Row(m, 0))
	require.Equal(t, []float32{5, 6}, matrix.Row(m, 2))
	tail := matrix.Rows(m, 1, 3)
	require.NoError(t, matrix.Check(tail, 2, 2))
	require.Equal(t, []float32{3, 4}, matrix.Row(tail, 0))
	matrix.Row(tail, 1)[0] = 7
	require.Equal(t, []float32{7, 6}, matrix.Row(m, 2))
}

func TestNewGivesZerosThatBLASTakes(t *testing.T) {
	for _, size := range [][2]int{{3, 2}, {1, 1}, {0, 4}, {0, 0}} {
		m := matrix.New(size[0], size[1])
		require.NoError(t, matrix.Check(m, size[0], size[1]))
		for i := range m.Rows {
			require.Equal(t, make([]float32, size[1]), matrix.Row(m, i))
		}
		require.NotPanics(t, func() {
			blas32.Gemm(blas.NoTrans, blas.Trans, 1, m, m, 0, matrix.New(size[0], size[0]))
		}, size)
	}
}

func TestCheckSaysWhatDoesNotFit(t *testing.T) {
	for _, test := range []struct {
		name       string
		m          blas32.General
		rows, cols int
		want       string
	}{
		{"gaps", gapped(), 3, 2, ""},
		{"no rows, no data", blas32.General{Cols: 4}, 0, 4, ""},
		{"fewer rows", gapped(), 4, 2, "[3 x 2], want [4 x 2]"},
		{"wider", gapped(), 3, 3, "[3 x 2], want [3 x 3]"},
		{"short data", blas32.General{Rows: 2, Cols: 2, Stride: 2, Data: make([]float32, 3)}, 2, 2, "stride 2 in 3 values"},
		{"stride below the width", blas32.General{Rows: 2, Cols: 2, Stride: 1, Data: make([]float32, 9)}, 2, 2, "stride 1 in 9 values"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := matrix.Check(test.m, test.rows, test.cols)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestDotSumsInFloat64(t *testing.T) {
	require.Zero(t, matrix.Dot(nil, nil))
	require.Equal(t, 1.0, matrix.Dot([]float32{1e8, 1, 1e8}, []float32{1, 1, -1}), "in float32 the 1 is lost")
}
