package npy

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"
)

func TestAMappedFileIsTheMatrixThatIsRead(t *testing.T) {
	for _, name := range []string{"small.npy", "version2.npy"} {
		path := filepath.Join("testdata", name)
		want, err := ReadFile(path)
		require.NoError(t, err)
		m, err := Map(path)
		require.NoError(t, err)
		require.Equal(t, want, m.Matrix)
		require.NoError(t, m.Close())
		require.NoError(t, m.Close(), "twice")
	}
}

// Other writers need not align the numbers.
func TestNumbersAtAnOddPlaceAreRead(t *testing.T) {
	golden, err := os.ReadFile("testdata/small.npy")
	require.NoError(t, err)
	text := "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
	for pad := range 4 {
		file := append([]byte(magic), 1, 0, byte(len(text)+pad), 0)
		file = append(file, bytes.Repeat([]byte(" "), pad)...)
		file = append(append(file, text...), golden[len(golden)-24:]...)
		path := filepath.Join(t.TempDir(), "x.npy")
		require.NoError(t, os.WriteFile(path, file, 0o644))
		m, err := Map(path)
		require.NoError(t, err)
		require.Equal(t, small, m.Matrix, pad)
		require.NoError(t, m.Close())
	}
}

func TestAMatrixWithoutRowsIsMapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	require.NoError(t, WriteFile(path, blas32.General{Cols: 5, Stride: 5}))
	m, err := Map(path)
	require.NoError(t, err)
	require.Equal(t, blas32.General{Cols: 5, Stride: 5}, m.Matrix)
	require.NoError(t, m.Close())
}

func TestWhatCannotBeReadCannotBeMapped(t *testing.T) {
	whole, err := os.ReadFile("testdata/small.npy")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "x.npy")
	_, err = Map(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "not a .npy file"},
		{"cut in the header", whole[:40], "truncated"},
		{"cut in the numbers", whole[:len(whole)-1], "truncated: 2 x 3 numbers do not fit in 23 bytes"},
		{"too long", append(bytes.Clone(whole), 0), "1 bytes follow the 2 x 3 numbers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, c.file, 0o644))
			_, err := Map(path)
			require.ErrorContains(t, err, path+": "+c.want)
		})
	}
}

func TestAFileWrittenInTwoSessionsIsTheFileWrittenInOne(t *testing.T) {
	m := blas32.General{Rows: 5, Cols: 3, Stride: 3, Data: []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, math.Pi}}
	rows := func(from, to int) blas32.General {
		return blas32.General{Rows: to - from, Cols: 3, Stride: 3, Data: m.Data[3*from : 3*to]}
	}
	var whole, parts bytes.Buffer
	w, err := NewWriter(&whole, 5, 3)
	require.NoError(t, err)
	require.NoError(t, w.Append(m))
	require.NoError(t, w.Close())

	w, err = NewWriter(&parts, 5, 3)
	require.NoError(t, err)
	require.NoError(t, w.Append(rows(0, 2)))
	require.NoError(t, w.Flush())
	require.EqualValues(t, parts.Len(), Offset(5, 3, 2))
	w, err = Continue(&parts, 5, 3, 2)
	require.NoError(t, err)
	require.Error(t, w.Append(m), "only three rows are to come")
	require.NoError(t, w.Append(rows(2, 5)))
	require.NoError(t, w.Close())
	require.Equal(t, whole.Bytes(), parts.Bytes())

	_, err = Continue(&parts, 5, 3, 6)
	require.EqualError(t, err, "npy: row 6 of a matrix of 5 x 3")
}
