package gguf

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/mmap"
)

// File is an open GGUF file. It is safe for concurrent use; only Close must not overlap a read.
type File struct {
	path     string
	data     []byte // nil once closed
	close    func() error
	release  func()
	metadata map[string]any // see value
	tensors  []Tensor
	byName   map[string]int
}

// Tensor describes one tensor of a file.
type Tensor struct {
	Name  string
	Shape []int // row-major, outermost first: a weight is [out x in]
	Type  Type

	begin uint64 // of its bytes, counted from the start of the file
	size  uint64 // in bytes; 0 for a type of unknown size
}

// Open maps the file and reads its metadata and its directory of tensors.
func Open(path string) (*File, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(m.Bytes(), path)
	if err != nil {
		return nil, errors.Join(filekind.ExplainFile(err, path, filekind.GGUF), m.Close())
	}
	f.close, f.release = m.Close, m.Release
	return f, nil
}

// Parse reads a file from memory, which the File keeps. name names it in errors.
func Parse(data []byte, name string) (*File, error) {
	f := &File{
		path: name, data: data, close: func() error { return nil }, release: func() {},
		metadata: map[string]any{}, byName: map[string]int{},
	}
	if err := f.parse(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Release gives the memory of tensors that were read back to the system; they can be read again.
func (f *File) Release() { f.release() }

// Close unmaps the file. Closing twice is harmless. Metadata can be read afterwards, tensors cannot.
func (f *File) Close() error {
	f.data = nil
	return f.close()
}

// Path returns the name under which the file was opened.
func (f *File) Path() string { return f.path }

// Keys returns the names of the metadata, sorted.
func (f *File) Keys() []string {
	keys := make([]string, 0, len(f.metadata))
	for k := range f.metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// String returns a string of the metadata, and whether the key holds one.
func (f *File) String(key string) (string, bool) { return lookup[string](f, key) }

// Bool returns a boolean of the metadata, and whether the key holds one.
func (f *File) Bool(key string) (value, ok bool) { return lookup[bool](f, key) }

// Uint returns a non-negative integer, of any width, of the metadata, and whether the key holds one.
func (f *File) Uint(key string) (uint64, bool) {
	if i, ok := f.metadata[key].(int64); ok && i >= 0 {
		return uint64(i), true
	}
	return lookup[uint64](f, key)
}

// Float returns a floating-point number, of any width, of the metadata, and whether the key holds one.
func (f *File) Float(key string) (float64, bool) { return lookup[float64](f, key) }

// Strings returns an array of strings of the metadata, and whether the key holds one. Do not change the array.
func (f *File) Strings(key string) ([]string, bool) { return lookup[[]string](f, key) }

// Ints returns an array of integers, of any width up to 63 bits, of the metadata, and whether the key holds one. Do not
// change the array.
func (f *File) Ints(key string) ([]int64, bool) { return lookup[[]int64](f, key) }

// FloatArray returns an array of floating-point numbers, of any width, of the metadata, and whether the key holds one.
// Do not change the array.
func (f *File) FloatArray(key string) ([]float64, bool) { return lookup[[]float64](f, key) }

func lookup[T any](f *File, key string) (T, bool) {
	v, ok := f.metadata[key].(T)
	return v, ok
}

// Tensors returns the directory of tensors, in the file's order. Do not change it.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor returns the directory's entry of a tensor, and whether the file holds the tensor.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Floats returns the values of a tensor as float32, row-major and dequantised. The slice belongs to the caller. The
// error for an unsupported type lists the supported ones.
func (f *File) Floats(name string) ([]float32, error) {
	m, err := f.Matrix(name)
	if err != nil {
		return nil, err
	}
	values := make([]float32, m.Rows*m.Columns)
	m.Read(values, 0, m.Rows)
	return values, nil
}

// Matrix is a tensor in the form in which the file keeps it, whose rows are read one by one. The bytes are those of the
// file: do not use a Matrix after Close.
type Matrix struct {
	Rows, Columns int // of a tensor of more than two dimensions Columns is the last one
	Type          Type

	data   []byte
	format format
}

// Matrix returns a tensor without reading its values.
func (f *File) Matrix(name string) (Matrix, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return Matrix{}, fmt.Errorf("%s: no tensor %q", f.path, name)
	}
	format := formats[t.Type]
	if !format.supported() {
		return Matrix{}, fmt.Errorf("%s: tensor %q has type %s, which is not supported; use a file with types among %s",
			f.path, name, t.Type, strings.Join(readable(), ", "))
	}
	if f.data == nil && t.size > 0 {
		return Matrix{}, fmt.Errorf("%s: tensor %q is read after Close", f.path, name)
	}
	m := Matrix{
		Columns: t.Shape[len(t.Shape)-1], Type: t.Type, data: f.data[t.begin : t.begin+t.size], format: format,
	}
	if values := int(t.size) / format.bytes * format.values; values > 0 {
		m.Rows = values / m.Columns
	}
	return m, nil
}

// Bytes returns the matrix as it is stored. Do not change them.
func (m Matrix) Bytes() []byte { return m.data }

// Read writes n rows from row on, dequantised, to dst [n x Columns].
func (m Matrix) Read(dst []float32, row, n int) {
	size := m.rowBytes()
	m.format.read(dst[:n*m.Columns], m.data[row*size:(row+n)*size])
}

func (m Matrix) rowBytes() int { return m.Columns / m.format.values * m.format.bytes }

// elements returns the number of values of a shape.
func elements(shape []int) (uint64, error) {
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	n := uint64(1)
	for _, d := range shape {
		if d < 0 || n > math.MaxInt64/uint64(d) {
			return 0, fmt.Errorf("shape %v is impossible", shape)
		}
		n *= uint64(d)
	}
	return n, nil
}
