// Package safetensors reads and writes the safetensors format: an 8-byte little-endian length, a JSON header of that
// length that gives each tensor's type, shape and place, and then the tensors' bytes, row-major and little-endian.
//
// Open checks the whole layout: every tensor lies inside the file, none overlaps another, none is cut short.
// Reference: https://github.com/huggingface/safetensors (format).
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"slices"
	"sync"
	"unsafe"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/mmap"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
)

// maxHeader is the reference implementation's limit on the header, in bytes.
const maxHeader = 100_000_000

// metadataKey is the header's key for the free-form strings of a file. No tensor can have this name.
const metadataKey = "__metadata__"

// Tensor is a named array of float32, row-major. A shape of no dimensions is a scalar.
type Tensor struct {
	Name   string
	Shape  []int
	Values []float32
}

// File is an open safetensors file. It is safe for concurrent use; only Close must not overlap a read.
type File struct {
	path     string
	data     io.ReaderAt // the bytes after the header
	file     *os.File    // nil: Parse was given another reader
	mapping  sync.Mutex
	mapped   *mmap.File // nil: there is no view yet
	begin    int64      // of the data in the file
	names    []string
	entries  map[string]entry
	metadata map[string]string
}

// entry is the header's description of a tensor; begin and end count from the end of the header.
type entry struct {
	dtype      string
	shape      []int
	begin, end int64
}

// Open reads and checks the header of the file. The tensors stay on disk until Tensor is called.
func Open(path string) (*File, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	file, err := Parse(f, info.Size(), path)
	if err != nil {
		f.Close()
		return nil, filekind.ExplainFile(err, path, filekind.Safetensors)
	}
	file.file = f
	return file, nil
}

// Parse reads and checks the header of r, which has size bytes. name names r in errors.
func Parse(r io.ReaderAt, size int64, name string) (*File, error) {
	f := &File{path: name, entries: map[string]entry{}}
	header, err := readHeader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	dataBytes := size - 8 - int64(len(header))
	f.begin = 8 + int64(len(header))
	f.data = io.NewSectionReader(r, f.begin, dataBytes)
	if err := f.parseHeader(header); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := f.checkLayout(dataBytes); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Close closes the file. Views must no longer be used.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	if f.mapped != nil {
		err = errors.Join(err, f.mapped.Close())
	}
	return err
}

// Names returns the names of the tensors, sorted.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Metadata returns the file's free-form strings; nil if there are none.
func (f *File) Metadata() map[string]string { return f.metadata }

// Shape returns the shape of a tensor, and whether there is a tensor of that name.
func (f *File) Shape(name string) ([]int, bool) {
	e, ok := f.entries[name]
	return slices.Clone(e.shape), ok
}

// DType returns the type of a tensor as the header names it: F32, BF16, I64, ...; "" for an unknown tensor.
func (f *File) DType(name string) string { return f.entries[name].dtype }

// Tensor reads a tensor of type F64, F32, F16 or BF16 and returns its values as float32, owned by the caller. F64
// rounds to the nearest; all other types convert exactly.
func (f *File) Tensor(name string) (shape []int, values []float32, err error) {
	e, ok := f.entries[name]
	if !ok {
		return nil, nil, fmt.Errorf("%s: no tensor %q", f.path, name)
	}
	n, err := product(e.shape)
	if err == nil {
		values, err = Floats(io.NewSectionReader(f.data, e.begin, e.end-e.begin), e.dtype, 0, n)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
	}
	return slices.Clone(e.shape), values, nil
}

// View is Tensor without a copy where the file holds the values as this machine does: F32, aligned, little-endian. They
// then lie in the mapped file, must not be changed, and are gone after Close.
func (f *File) View(name string) (shape []int, values []float32, err error) {
	e, ok := f.entries[name]
	at := f.begin + e.begin
	if !ok || f.file == nil || e.dtype != "F32" || e.begin == e.end || at%4 != 0 || !littleEndian {
		return f.Tensor(name)
	}
	m, err := f.pages()
	if err != nil {
		return nil, nil, err
	}
	if int64(len(m.Bytes())) < f.begin+e.end {
		return nil, nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, io.ErrUnexpectedEOF) // it has shrunk since
	}
	first := unsafe.Pointer(&m.Bytes()[at])
	return slices.Clone(e.shape), unsafe.Slice((*float32)(first), (e.end-e.begin)/4), nil
}

// littleEndian says whether the machine stores numbers as the format does.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// pages maps the file once.
func (f *File) pages() (*mmap.File, error) {
	f.mapping.Lock()
	defer f.mapping.Unlock()
	if f.mapped != nil {
		return f.mapped, nil
	}
	var err error
	f.mapped, err = mmap.Map(f.file)
	return f.mapped, err
}

// Release gives the memory of views back to the system, which reads again from disk what is used again.
func (f *File) Release() {
	f.mapping.Lock()
	defer f.mapping.Unlock()
	if f.mapped != nil {
		f.mapped.Release()
	}
}

// Ints reads a tensor of type I64, I32, I16, I8 or U8.
func (f *File) Ints(name string) ([]int64, error) {
	e, ok := f.entries[name]
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %q", f.path, name)
	}
	n, err := product(e.shape)
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
	}
	values, err := Ints(io.NewSectionReader(f.data, e.begin, e.end-e.begin), e.dtype, 0, n)
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
	}
	return values, nil
}

// Write writes tensors in the order of their names, so that equal tensors and metadata give equal bytes. The number of
// values must match the shape, and names must be distinct.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	header, err := makeHeader(sorted, metadata)
	if err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	if err := binary.Write(w, binary.LittleEndian, uint64(len(header))); err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	for _, t := range sorted {
		if err := writeValues(w, t.Values); err != nil {
			return fmt.Errorf("write safetensors: tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	if size < 8 {
		return nil, fmt.Errorf("not a safetensors file: %d bytes, at least 8 are needed", size)
	}
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, fmt.Errorf("header length: %w", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return nil, fmt.Errorf("not a safetensors file: header of %d bytes, the limit is %d", n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("truncated: header of %d bytes in a file of %d", n, size)
	}
	header := make([]byte, n)
	if _, err := r.ReadAt(header, 8); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return header, nil
}

func (f *File) parseHeader(header []byte) error {
	var members map[string]json.RawMessage
	if err := strictjson.Unmarshal(header, &members); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if members == nil {
		return errors.New("header is not a JSON object")
	}
	for name, member := range members {
		if err := f.parseEntry(name, member); err != nil {
			return err
		}
	}
	slices.Sort(f.names)
	return nil
}

func (f *File) parseEntry(name string, member json.RawMessage) error {
	if name == metadataKey {
		if err := strictjson.Unmarshal(member, &f.metadata); err != nil {
			return fmt.Errorf("header: %s: %w", metadataKey, err)
		}
		return nil
	}
	var raw struct {
		DType   string  `json:"dtype"`
		Shape   []int64 `json:"shape"`
		Offsets []int64 `json:"data_offsets"`
	}
	if err := strictjson.Unmarshal(member, &raw); err != nil {
		return fmt.Errorf("header: tensor %q: %w", name, err)
	}
	if raw.DType == "" || raw.Shape == nil || len(raw.Offsets) != 2 {
		return fmt.Errorf("header: tensor %q lacks dtype, shape or two data_offsets", name)
	}
	e := entry{dtype: raw.DType, shape: make([]int, len(raw.Shape)), begin: raw.Offsets[0], end: raw.Offsets[1]}
	for i, d := range raw.Shape {
		if d < 0 || d > math.MaxInt {
			return fmt.Errorf("header: tensor %q has shape %v", name, raw.Shape)
		}
		e.shape[i] = int(d)
	}
	f.entries[name] = e
	f.names = append(f.names, name)
	return nil
}

// checkLayout checks that the tensors fill the bytes after the header without gaps, as the reference demands.
func (f *File) checkLayout(dataBytes int64) error {
	byOffset := slices.Clone(f.names)
	slices.SortStableFunc(byOffset, func(a, b string) int {
		return cmp.Or(cmp.Compare(f.entries[a].begin, f.entries[b].begin), cmp.Compare(f.entries[a].end, f.entries[b].end))
	})
	var end int64
	for i, name := range byOffset {
		e := f.entries[name]
		if e.begin < 0 || e.end < e.begin {
			return fmt.Errorf("tensor %q has data_offsets [%d, %d]", name, e.begin, e.end)
		}
		if e.begin < end {
			return fmt.Errorf("tensors %q and %q overlap", byOffset[i-1], name)
		}
		if e.begin > end {
			return fmt.Errorf("%d bytes before tensor %q belong to no tensor", e.begin-end, name)
		}
		if e.end > dataBytes {
			return fmt.Errorf("truncated: tensor %q ends at byte %d of the data, which has %d", name, e.end, dataBytes)
		}
		if err := e.checkSize(); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		end = e.end
	}
	if end != dataBytes {
		return fmt.Errorf("%d bytes after the last tensor", dataBytes-end)
	}
	return nil
}

func (e entry) checkSize() error {
	width, ok := widths[e.dtype]
	if !ok {
		return nil // a type that this version does not know: Tensor refuses it
	}
	n, err := product(e.shape)
	if err != nil {
		return err
	}
	if hi, lo := bits.Mul64(uint64(n), uint64(width)); hi != 0 || lo != uint64(e.end-e.begin) {
		return fmt.Errorf("shape %v of %s does not fit its %d bytes", e.shape, e.dtype, e.end-e.begin)
	}
	return nil
}

// product returns the number of values of a shape.
func product(shape []int) (int, error) {
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	n := 1
	for _, d := range shape {
		if d < 0 || n > math.MaxInt/d {
			return 0, fmt.Errorf("shape %v is impossible", shape)
		}
		n *= d
	}
	return n, nil
}

// makeHeader writes the header by hand, to keep the order of the tensors. It pads the header with spaces, so that the
// data begin at a multiple of 8.
func makeHeader(sorted []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(metadata) > 0 {
		m, err := marshal(metadata)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", metadataKey, m)
	}
	offset := 0
	for i, t := range sorted {
		if err := checkTensor(sorted, i); err != nil {
			return nil, err
		}
		name, err := marshal(t.Name)
		if err != nil {
			return nil, err
		}
		shape, err := marshal(append([]int{}, t.Shape...))
		if err != nil {
			return nil, err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		end := offset + 4*len(t.Values)
		fmt.Fprintf(&b, `%s:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, name, shape, offset, end)
		offset = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, the limit is %d", b.Len(), maxHeader)
	}
	return b.Bytes(), nil
}

func checkTensor(sorted []Tensor, i int) error {
	t := sorted[i]
	if t.Name == metadataKey {
		return fmt.Errorf("the tensor name %q is reserved", t.Name)
	}
	if i > 0 && sorted[i-1].Name == t.Name {
		return fmt.Errorf("two tensors have the name %q", t.Name)
	}
	n, err := product(t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if n != len(t.Values) {
		return fmt.Errorf("tensor %q of shape %v has %d values", t.Name, t.Shape, len(t.Values))
	}
	return nil
}

// marshal is json.Marshal without the escapes for HTML, which the reference does not write.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
