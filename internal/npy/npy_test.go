package npy

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"
)

var small = blas32.General{Rows: 2, Cols: 3, Stride: 3, Data: []float32{0, -1.5, math.MaxFloat32, 1e-45, 0.1, 3}}

func TestFilesEqualNumPys(t *testing.T) {
	golden, err := os.ReadFile("testdata/small.npy")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "small.npy")
	require.NoError(t, WriteFile(path, small))
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, golden, written)

	got, err := ReadFile("testdata/small.npy")
	require.NoError(t, err)
	require.Equal(t, small, got)
}

func TestVersion2OfNumPyIsRead(t *testing.T) {
	got, err := ReadFile("testdata/version2.npy")
	require.NoError(t, err)
	require.Equal(t, small, got)
}

func TestRowsOfAWiderMatrixAreWrittenBlockByBlock(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, 3, 2)
	require.NoError(t, err)
	require.NoError(t, w.Append(blas32.General{Rows: 2, Cols: 2, Stride: 4, Data: []float32{1, 2, -1, -1, 3, 4}}))
	require.EqualError(t, w.Close(), "npy: 1 rows were not written")
	require.EqualError(t, w.Append(small), "npy: 2 rows of 3 numbers do not fit, 1 of 2 are to come")
	require.NoError(t, w.Append(blas32.General{Rows: 1, Cols: 2, Stride: 2, Data: []float32{5, 6}}))
	require.NoError(t, w.Close())
	got, err := Read(&file, int64(file.Len()), "vectors.npy")
	require.NoError(t, err)
	require.Equal(t, blas32.General{Rows: 3, Cols: 2, Stride: 2, Data: []float32{1, 2, 3, 4, 5, 6}}, got)
}

func TestAMatrixWithoutRowsComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	require.NoError(t, WriteFile(path, blas32.General{Cols: 5, Stride: 5}))
	got, err := ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 0, got.Rows)
	require.Equal(t, 5, got.Cols)
}

func TestWhatIsNoFloat32MatrixIsRefused(t *testing.T) {
	whole, err := os.ReadFile("testdata/small.npy")
	require.NoError(t, err)
	header := func(text string) []byte {
		return append([]byte("\x93NUMPY\x01\x00"+string([]byte{byte(len(text)), 0})), text...)
	}
	golden := func(name string) []byte {
		b, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		return b
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "not a .npy file"},
		{"text", []byte("1.0 2.0 3.0\n"), "not a .npy file"},
		{"other version", []byte("\x93NUMPY\x09\x00"), "version 9 of the .npy format"},
		{"no length", []byte("\x93NUMPY\x01\x00\x01"), "truncated"},
		{"cut in the header", whole[:40], "truncated"},
		{"cut in the numbers", whole[:len(whole)-1], "truncated: 2 x 3 numbers do not fit in 23 bytes"},
		{"too long", append(bytes.Clone(whole), 0), "1 bytes follow the 2 x 3 numbers"},
		{"double precision", golden("float64.npy"), `numbers of type "<f8", want "<f4": save x.astype('<f4')`},
		{"big-endian", golden("bigendian.npy"), `numbers of type ">f4", want "<f4": save x.astype('<f4')`},
		{"Fortran order", golden("fortran.npy"), "numbers in Fortran order: save numpy.ascontiguousarray(x)"},
		{"a vector", golden("vector.npy"), "shape (3,), want (rows, columns)"},
		{"three dimensions", golden("cube.npy"), "shape (1, 2, 3), want (rows, columns)"},
		{"no columns", header("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 0), }"), "shape (9223372036854775807, 0)"},
		{"records", golden("records.npy"), "does not describe a matrix of numbers"},
		{
			"larger than memory", header("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }\n"),
			"truncated: 4611686018427387904 x 4 numbers do not fit in 0 bytes",
		},
		{"a header of gigabytes", []byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), "header of 4294967295 bytes"},
		{"numbers beyond 64 bits", header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }"), "shape"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(c.file), int64(len(c.file)), "vectors.npy")
			require.ErrorContains(t, err, c.want)
			require.True(t, strings.HasPrefix(err.Error(), "vectors.npy: "), err)
		})
	}
}

func TestAFolderThatIsNotThereIsAnError(t *testing.T) {
	require.Error(t, WriteFile(filepath.Join(t.TempDir(), "none", "x.npy"), small))
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.npy")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := Read(bytes.NewReader(file), int64(len(file)), "x")
		if err != nil {
			return
		}
		var again bytes.Buffer
		w, err := NewWriter(&again, m.Rows, m.Cols)
		require.NoError(t, err)
		require.NoError(t, w.Append(m))
		require.NoError(t, w.Close())
		require.True(t, bytes.HasSuffix(file, again.Bytes()[again.Len()-4*m.Rows*m.Cols:]))
	})
}
