package gguf

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

const (
	magic            = "GGUF"
	maxDims          = 4  // GGML_MAX_DIMS
	maxName          = 64 // GGML_MAX_NAME, of a tensor
	maxNesting       = 4  // of arrays in arrays
	alignmentKey     = "general.alignment"
	defaultAlignment = 32
)

// The types of metadata values.
const (
	typeUint8 = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

func (f *File) parse() error {
	r := &reader{data: f.data}
	tensors, values, err := readHeader(r)
	if err != nil {
		return err
	}
	for i := range values {
		if err := f.parseValue(r); err != nil {
			return fmt.Errorf("metadata %d of %d: %w", i+1, values, err)
		}
	}
	for i := range tensors {
		if err := f.parseTensor(r); err != nil {
			return fmt.Errorf("tensor %d of %d: %w", i+1, tensors, err)
		}
	}
	return f.placeTensors(r.at)
}

func readHeader(r *reader) (tensors, values uint64, err error) {
	if len(r.data) < len(magic) || string(r.data[:len(magic)]) != magic {
		return 0, 0, errors.New("not a GGUF file: it does not begin with GGUF")
	}
	r.at = uint64(len(magic))
	version, err := r.uint32("version")
	if err != nil {
		return 0, 0, err
	}
	if big := bits.ReverseBytes32(version); big == 2 || big == 3 {
		return 0, 0, errors.New("a big-endian GGUF file; little-endian ones can be read")
	}
	if version != 2 && version != 3 {
		return 0, 0, fmt.Errorf("GGUF version %d; 2 and 3 can be read", version)
	}
	if tensors, err = r.uint64("number of tensors"); err != nil {
		return 0, 0, err
	}
	values, err = r.uint64("number of metadata values")
	return tensors, values, err
}

func (f *File) parseValue(r *reader) error {
	at := r.at
	key, err := r.string("key")
	if err != nil {
		return err
	}
	if _, ok := f.metadata[key]; ok {
		return fmt.Errorf("byte %d: key %q occurs twice", at, key)
	}
	kind, err := r.uint32("type")
	if err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	v, err := r.value(kind)
	if err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	f.metadata[key] = v
	return nil
}

func (f *File) parseTensor(r *reader) error {
	at := r.at
	name, err := r.string("name")
	if err != nil {
		return err
	}
	if len(name) >= maxName {
		return fmt.Errorf("byte %d: the name has %d bytes, the limit is %d", at, len(name), maxName-1)
	}
	if _, ok := f.byName[name]; ok {
		return fmt.Errorf("byte %d: tensor %q occurs twice", at, name)
	}
	t := Tensor{Name: name}
	if t.Shape, err = r.shape(); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	kind, err := r.uint32("type")
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	t.Type = Type(kind)
	if t.size, err = bytesOf(t); err != nil {
		return fmt.Errorf("byte %d: %q: %w", at, name, err)
	}
	if t.begin, err = r.uint64("offset"); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	f.byName[name] = len(f.tensors)
	f.tensors = append(f.tensors, t)
	return nil
}

// bytesOf returns the size of a tensor; 0 for a type of unknown size.
func bytesOf(t Tensor) (uint64, error) {
	n, err := elements(t.Shape)
	if err != nil {
		return 0, err
	}
	format, ok := formats[t.Type]
	if !ok {
		return 0, nil
	}
	if row := t.Shape[len(t.Shape)-1]; row%format.values != 0 {
		return 0, fmt.Errorf("rows of %d values are not a multiple of the %d values that a block of %s has",
			row, format.values, t.Type)
	}
	high, size := bits.Mul64(n/uint64(format.values), uint64(format.bytes))
	if high != 0 || size > math.MaxInt64 {
		return 0, fmt.Errorf("shape %v is impossible", t.Shape)
	}
	return size, nil
}

// placeTensors turns offsets into places in the file, whose directory ends at byte end, and checks them.
func (f *File) placeTensors(end uint64) error {
	alignment := uint64(defaultAlignment)
	if v, ok := f.metadata[alignmentKey]; ok {
		a, ok := v.(uint64)
		if !ok || bits.OnesCount64(a) != 1 || a > math.MaxInt32 {
			return fmt.Errorf("%s is %v, not a power of two", alignmentKey, v)
		}
		alignment = a
	}
	base := (end + alignment - 1) / alignment * alignment
	for i := range f.tensors {
		t := &f.tensors[i]
		if t.begin%alignment != 0 {
			return fmt.Errorf("tensor %q has offset %d, not a multiple of the alignment %d", t.Name, t.begin, alignment)
		}
		if t.size == 0 {
			t.begin = 0 // nothing to read
			continue
		}
		begin, carry := bits.Add64(base, t.begin, 0)
		if length := uint64(len(f.data)); carry != 0 || begin > length || t.size > length-begin {
			return fmt.Errorf("cut short: tensor %q takes %d bytes from byte %d + %d, and the file has %d",
				t.Name, t.size, base, t.begin, length)
		}
		t.begin = begin
	}
	return f.checkOverlap()
}

func (f *File) checkOverlap() error {
	byPlace := slices.Clone(f.tensors)
	slices.SortStableFunc(byPlace, func(a, b Tensor) int { return cmp.Compare(a.begin, b.begin) })
	for i, t := range byPlace[min(1, len(byPlace)):] {
		if before := byPlace[i]; before.begin+before.size > t.begin {
			return fmt.Errorf("tensors %q and %q overlap at byte %d", before.Name, t.Name, t.begin)
		}
	}
	return nil
}

// reader reads the file from its start. Its errors name the byte.
type reader struct {
	data []byte
	at   uint64
}

// take returns the next n bytes. what names them in errors.
func (r *reader) take(n uint64, what string) ([]byte, error) {
	if left := uint64(len(r.data)) - r.at; n > left {
		return nil, fmt.Errorf("cut short at byte %d: the %s needs %d bytes, the file has %d more", r.at, what, n, left)
	}
	part := r.data[r.at : r.at+n]
	r.at += n
	return part, nil
}

func (r *reader) uint32(what string) (uint32, error) {
	b, err := r.take(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *reader) uint64(what string) (uint64, error) {
	b, err := r.take(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (r *reader) string(what string) (string, error) {
	n, err := r.uint64("length of the " + what)
	if err != nil {
		return "", err
	}
	b, err := r.take(n, what)
	return string(b), err
}

func (r *reader) shape() ([]int, error) {
	at := r.at
	n, err := r.uint32("number of dimensions")
	if err != nil {
		return nil, err
	}
	if n < 1 || n > maxDims {
		return nil, fmt.Errorf("byte %d: the tensor has %d dimensions; 1 to %d are supported", at, n, maxDims)
	}
	shape := make([]int, n)
	for i := range shape {
		d, err := r.uint64("dimension")
		if err != nil {
			return nil, err
		}
		if d > math.MaxInt {
			return nil, fmt.Errorf("byte %d: dimension %d is too large", r.at-8, d)
		}
		shape[len(shape)-1-i] = int(d) // the file has the innermost first
	}
	return shape, nil
}

// value reads a metadata value of a type: uint64, int64, float64, bool, string, or an array of one of those as
// []int64 (for all integers), []float64, []bool or []string. An array of arrays is an []any.
func (r *reader) value(kind uint32) (any, error) {
	switch kind {
	case typeString:
		return r.string("string")
	case typeArray:
		return r.array(0)
	}
	width, ok := widths[kind]
	if !ok {
		return nil, fmt.Errorf("byte %d: unknown type of value %d", r.at-4, kind)
	}
	b, err := r.take(width, "value")
	if err != nil {
		return nil, err
	}
	switch kind {
	case typeBool:
		return b[0] != 0, nil
	case typeFloat32, typeFloat64:
		return floatOf(kind, b), nil
	case typeInt8, typeInt16, typeInt32, typeInt64:
		return int64(intOf(kind, b)), nil
	}
	return intOf(kind, b), nil
}

// widths are the bytes of the types of fixed size.
var widths = map[uint32]uint64{
	typeUint8: 1, typeInt8: 1, typeBool: 1, typeUint16: 2, typeInt16: 2,
	typeUint32: 4, typeInt32: 4, typeFloat32: 4, typeUint64: 8, typeInt64: 8, typeFloat64: 8,
}

func (r *reader) array(depth int) (any, error) {
	if depth == maxNesting {
		return nil, fmt.Errorf("byte %d: arrays are nested more than %d deep", r.at, maxNesting)
	}
	kind, err := r.uint32("type of the array")
	if err != nil {
		return nil, err
	}
	at := r.at
	n, err := r.uint64("length of the array")
	if err != nil {
		return nil, err
	}
	// A hostile length must not allocate more than the file can fill.
	least := widths[kind]
	switch kind {
	case typeString:
		least = 8
	case typeArray:
		least = 12
	}
	if least == 0 {
		return nil, fmt.Errorf("byte %d: unknown type of array %d", at-4, kind)
	}
	if left := uint64(len(r.data)) - r.at; n > left/least {
		return nil, fmt.Errorf("cut short at byte %d: an array of %d values, the file has %d more bytes", at, n, left)
	}
	switch kind {
	case typeString:
		return readArray(n, func() (string, error) { return r.string("string") })
	case typeArray:
		return readArray(n, func() (any, error) { return r.array(depth + 1) })
	case typeBool:
		return readArray(n, func() (bool, error) { return r.data[r.advance(1)] != 0, nil })
	case typeFloat32, typeFloat64:
		return readArray(n, func() (float64, error) { return floatOf(kind, r.data[r.advance(least):]), nil })
	}
	return readArray(n, func() (int64, error) {
		at := r.advance(least)
		v := intOf(kind, r.data[at:])
		if kind == typeUint64 && v > math.MaxInt64 {
			return 0, fmt.Errorf("byte %d: %d in an array is beyond 63 bits", at, v)
		}
		return int64(v), nil
	})
}

// advance skips n bytes, which must exist, and returns the old position.
func (r *reader) advance(n uint64) uint64 {
	r.at += n
	return r.at - n
}

func readArray[T any](n uint64, read func() (T, error)) ([]T, error) {
	values := make([]T, n)
	for i := range values {
		var err error
		if values[i], err = read(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// intOf returns the bits of an integer, sign-extended.
func intOf(kind uint32, b []byte) uint64 {
	switch kind {
	case typeUint8:
		return uint64(b[0])
	case typeInt8:
		return uint64(int8(b[0]))
	case typeUint16:
		return uint64(binary.LittleEndian.Uint16(b))
	case typeInt16:
		return uint64(int16(binary.LittleEndian.Uint16(b)))
	case typeUint32:
		return uint64(binary.LittleEndian.Uint32(b))
	case typeInt32:
		return uint64(int32(binary.LittleEndian.Uint32(b)))
	}
	return binary.LittleEndian.Uint64(b)
}

func floatOf(kind uint32, b []byte) float64 {
	if kind == typeFloat32 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}
