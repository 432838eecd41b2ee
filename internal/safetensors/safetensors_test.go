package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The golden files come from Python's safetensors: testdata/make_golden.py.

func TestTensorsEqualPythons(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var want map[string]struct {
		Shape []int
		Bits  []int32
	}
	require.NoError(t, json.Unmarshal(raw, &want))
	f, err := Open("testdata/golden.safetensors")
	require.NoError(t, err)
	defer f.Close()

	require.Equal(t, []string{"bf16", "empty", "f16", "f32", "f64", "ids <&> é", "scalar"}, f.Names())
	require.Equal(t, map[string]string{"format": "pt"}, f.Metadata())
	for name, w := range want {
		shape, values, err := f.Tensor(name)
		require.NoError(t, err, name)
		require.Equal(t, append([]int{}, w.Shape...), append([]int{}, shape...), name)
		require.Len(t, values, len(w.Bits), name)
		for i, v := range values {
			require.Equal(t, uint32(w.Bits[i]), math.Float32bits(v), "%s[%d]", name, i)
		}
	}
}

func TestWriteGivesPythonsBytes(t *testing.T) {
	want, err := os.ReadFile("testdata/written.safetensors")
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, Write(&got, []Tensor{
		{Name: "d", Shape: []int{0}},
		{Name: "b.weight", Shape: []int{2, 3}, Values: []float32{0, 1, 2, 3, 4, 5}},
		{Name: "c", Values: []float32{-1}},
		{Name: "a <&> é", Shape: []int{1}, Values: []float32{0.5}},
	}, map[string]string{"format": "pt"}))
	require.Equal(t, want, got.Bytes())
}

func TestLargeTensorComesBack(t *testing.T) {
	values := make([]float32, chunk/4*2+13) // not a whole number of chunks
	for i := range values {
		values[i] = float32(i) / 7
	}
	path := filepath.Join(t.TempDir(), "large.safetensors")
	w, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, Write(w, []Tensor{{Name: "x", Shape: []int{len(values)}, Values: values}}, nil))
	require.NoError(t, w.Close())

	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, got, err := f.Tensor("x")
	require.NoError(t, err)
	require.Equal(t, values, got)
	require.Nil(t, f.Metadata())

	require.NoError(t, os.Truncate(path, 5000))
	_, _, err = f.Tensor("x")
	require.ErrorContains(t, err, `large.safetensors: tensor "x": unexpected EOF`)
}

func TestBadFilesAreErrorsThatNameFileAndTensor(t *testing.T) {
	tensor := func(shape, offsets string) string {
		return `{"dtype":"F32","shape":` + shape + `,"data_offsets":` + offsets + `}`
	}
	for name, c := range map[string]struct {
		header string
		data   int
		want   string
	}{
		"no object":               {`[]`, 0, "header: an array where an object is wanted"},
		"broken JSON":             {`{"x":`, 0, `header: malformed JSON at "/x": it ends too early`},
		"unclosed":                {`{`, 0, "header: "},
		"more after the object":   {`{} {}`, 0, "header: malformed JSON: invalid character '{' after top-level value"},
		"truncated data":          {`{"x":` + tensor("[2]", "[0,8]") + `}`, 7, `truncated: tensor "x" ends at byte 8`},
		"bytes after the last":    {`{"x":` + tensor("[2]", "[0,8]") + `}`, 9, "1 bytes after the last tensor"},
		"hole":                    {`{"x":` + tensor("[1]", "[4,8]") + `}`, 8, `4 bytes before tensor "x"`},
		"overlap":                 {`{"x":` + tensor("[2]", "[0,8]") + `,"y":` + tensor("[2]", "[4,12]") + `}`, 12, `"x" and "y" overlap`},
		"duplicate":               {`{"x":` + tensor("[1]", "[0,4]") + `,"x":` + tensor("[1]", "[0,4]") + `}`, 4, `"x" occurs twice`},
		"duplicate metadata":      {`{"__metadata__":{},"__metadata__":{}}`, 0, "occurs twice"},
		"metadata of numbers":     {`{"__metadata__":{"a":1}}`, 0, "__metadata__"},
		"shape against offsets":   {`{"x":` + tensor("[3]", "[0,8]") + `}`, 8, `tensor "x": shape [3] of F32 does not fit its 8 bytes`},
		"negative shape":          {`{"x":` + tensor("[-1]", "[0,4]") + `}`, 4, `tensor "x" has shape [-1]`},
		"shape beyond all memory": {`{"x":` + tensor("[4294967296,4294967296,4]", "[0,4]") + `}`, 4, `tensor "x": shape`},
		"negative offset":         {`{"x":` + tensor("[1]", "[-4,0]") + `}`, 0, `tensor "x" has data_offsets [-4, 0]`},
		"end before begin":        {`{"x":` + tensor("[1]", "[8,4]") + `}`, 8, `tensor "x" has data_offsets [8, 4]`},
		"fraction as a shape":     {`{"x":` + tensor("[1.5]", "[0,4]") + `}`, 4, `tensor "x"`},
		"no type":                 {`{"x":{"shape":[1],"data_offsets":[0,4]}}`, 4, `tensor "x" lacks`},
		"no shape":                {`{"x":{"dtype":"F32","data_offsets":[0,4]}}`, 4, `tensor "x" lacks`},
	} {
		t.Run(name, func(t *testing.T) {
			raw := withHeader(c.header, c.data)
			_, err := Parse(bytes.NewReader(raw), int64(len(raw)), "dir/m.safetensors")
			require.ErrorContains(t, err, "dir/m.safetensors: ")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestHeaderLengthIsChecked(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"too short for a length":    {"\x01\x00", "not a safetensors file: 2 bytes"},
		"longer than the file":      {"\x09\x00\x00\x00\x00\x00\x00\x00{}", "truncated: header of 9 bytes in a file of 10"},
		"beyond the limit":          {"\x90aaaaaaaaaaaaaaa", "not a safetensors file: header of"},
		"text":                      {"some text that is long enough", "not a safetensors file: header of"},
		"a web page":                {"<!DOCTYPE html>", "the file is a web page"},
		"pickle instead of tensors": {"PK\x03\x04aaaaaaaaaaaa", "the file is a ZIP archive, which PyTorch's .bin"},
		"a Git LFS pointer": {
			"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
			`the file is a Git LFS pointer, not the file itself; run "git lfs pull"`,
		},
		"compressed":  {"\x1f\x8b\x08\x00aaaaaaaaaaaa", "the file is compressed with gzip; unpack it first"},
		"a GGUF file": {"GGUF\x03\x00\x00\x00aaaaaaaaaaaa", "the file is a GGUF file; "},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.safetensors")
			require.NoError(t, os.WriteFile(path, []byte(c.file), 0o644))
			_, err := Open(path)
			require.ErrorContains(t, err, path+": "+c.want)
		})
	}
	_, err := Open(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTensorErrors(t *testing.T) {
	f, err := Open("testdata/golden.safetensors")
	require.NoError(t, err)
	defer f.Close()
	_, _, err = f.Tensor("nowhere")
	require.EqualError(t, err, `testdata/golden.safetensors: no tensor "nowhere"`)
	_, _, err = f.Tensor("ids <&> é")
	require.ErrorContains(t, err, `tensor "ids <&> é": type I64`)
}

func TestWriteRefuses(t *testing.T) {
	one := []float32{1}
	for name, c := range map[string]struct {
		tensors []Tensor
		want    string
	}{
		"two of a name":          {[]Tensor{{"x", nil, one}, {"y", nil, one}, {"x", nil, one}}, `two tensors have the name "x"`},
		"values against shape":   {[]Tensor{{"x", []int{2}, one}}, `tensor "x" of shape [2] has 1 values`},
		"the name of metadata":   {[]Tensor{{"__metadata__", nil, one}}, "is reserved"},
		"a negative dimension":   {[]Tensor{{"x", []int{-1}, nil}}, `tensor "x": shape [-1]`},
		"a product out of range": {[]Tensor{{"x", []int{1 << 40, 1 << 40}, nil}}, `tensor "x": shape`},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, Write(&bytes.Buffer{}, c.tensors, nil), c.want)
		})
	}
}

func FuzzParse(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.safetensors")
	require.NoError(f, err)
	f.Add(golden)
	f.Add(withHeader(`{"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, 4))
	f.Add(withHeader(`{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"x":{}}`, 4))
	f.Add([]byte(strings.Repeat("\x00", 8)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := Parse(bytes.NewReader(raw), int64(len(raw)), "fuzz")
		if err != nil {
			return
		}
		for _, name := range file.Names() {
			shape, values, err := file.Tensor(name)
			if err != nil {
				continue
			}
			n, err := product(shape)
			require.NoError(t, err)
			require.Len(t, values, n)
		}
	})
}

func withHeader(header string, data int) []byte {
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	raw = append(raw, header...)
	return append(raw, make([]byte, data)...)
}
