package torchsave

import (
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/retort-ir/retort/internal/safetensors"
)

// storage is a run of values, which several tensors may share.
type storage struct {
	key    string
	kind   element
	values int64
	data   *io.SectionReader // nil: not found yet
}

// maxValues bounds the numbers in a description, so that no product of one and the size of a value overflows.
const maxValues = 1 << 48

// newStorage returns the storage of a persistent id ("storage", type, key, location, values), the same one for the same
// key.
func newStorage(id tuple, known map[string]*storage) (*storage, error) {
	if len(id) == 6 && id[5] == nil {
		id = id[:5] // a view of a storage, which PyTorch no longer writes, would have more
	}
	if len(id) != 5 || id[0] != any("storage") {
		return nil, errors.New("a persistent id does not describe a storage")
	}
	kind, isKind := id[1].(element)
	key, isKey := id[2].(string)
	values, isNumber := id[4].(int64)
	if !isKind || !isKey || !isNumber || values < 0 || values > maxValues {
		return nil, errors.New("a storage is described by other values than its type, key, location and length")
	}
	s := known[key]
	if s == nil {
		s = &storage{key: key, kind: kind, values: values}
		known[key] = s
	}
	if s.kind != kind || s.values != values {
		return nil, fmt.Errorf("storage %q is described in two ways", key)
	}
	return s, nil
}

func (s *storage) bytes() int64 { return s.values * int64(safetensors.Width(string(s.kind))) }

func (s *storage) checkSize(bytes int64) error {
	if bytes != s.bytes() {
		return fmt.Errorf("storage %q has %d bytes; its %d values of %s have %d", s.key, bytes, s.values, s.kind, s.bytes())
	}
	return nil
}

// tensor is a view of a storage. The value at index i is the storage's value offset + sum(i[d] * strides[d]).
type tensor struct {
	storage *storage
	offset  int64
	shape   []int
	strides []int
	span    int // values of the storage from the first one to the last one
}

func newTensor(data, offset, shape, strides any) (*tensor, error) {
	s, isStorage := data.(*storage)
	first, isNumber := offset.(int64)
	if !isStorage || !isNumber || first < 0 {
		return nil, errors.New("a tensor is described by other values than storage, offset, shape and strides")
	}
	t := &tensor{storage: s, offset: first}
	var err error
	if t.shape, err = dimensions(shape); err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	if t.strides, err = dimensions(strides); err != nil {
		return nil, fmt.Errorf("strides: %w", err)
	}
	if len(t.shape) != len(t.strides) {
		return nil, fmt.Errorf("%d dimensions, but %d strides", len(t.shape), len(t.strides))
	}
	return t, nil
}

// maxDimensions is more than any weight has.
const maxDimensions = 16

func dimensions(v any) ([]int, error) {
	values, ok := v.(tuple)
	if !ok || len(values) > maxDimensions {
		return nil, fmt.Errorf("not a tuple of at most %d numbers", maxDimensions)
	}
	out := make([]int, len(values))
	for i, v := range values {
		n, ok := v.(int64)
		if !ok || n < 0 || n > maxValues {
			return nil, errors.New("not a number of values")
		}
		out[i] = int(n)
	}
	return out, nil
}

// check makes sure that the tensor lies in its storage and has no more values than that, and sets span.
func (t *tensor) check() error {
	if t.storage.data == nil {
		return fmt.Errorf("its storage %q is missing", t.storage.key)
	}
	count, span := uint64(1), uint64(1)
	for i, d := range t.shape {
		if d == 0 {
			return nil // a tensor without values, wherever it is
		}
		var overflow [2]uint64
		overflow[0], count = bits.Mul64(count, uint64(d))
		hi, step := bits.Mul64(uint64(d-1), uint64(t.strides[i]))
		overflow[1] = hi
		span += step
		if overflow != [2]uint64{} || count > maxValues || span > maxValues || step > maxValues {
			return fmt.Errorf("shape %v with strides %v is impossible", t.shape, t.strides)
		}
	}
	values := uint64(t.storage.values)
	if uint64(t.offset) > values || span > values-uint64(t.offset) {
		return fmt.Errorf("shape %v with strides %v from value %d on leaves its storage of %d values",
			t.shape, t.strides, t.offset, values)
	}
	if count > values {
		return fmt.Errorf("shape %v repeats the %d values of its storage; save it after contiguous()", t.shape, values)
	}
	t.span = int(span)
	return nil
}

// contiguous says whether the values lie in the order of the rows without gaps.
func (t *tensor) contiguous() bool {
	step := 1
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.strides[i] != step {
			return false
		}
		step *= t.shape[i]
	}
	return true
}

// rows returns the tensor's values, row-major, of those that it spans.
func rows[T any](t *tensor, spanned []T) []T {
	if len(spanned) == 0 || t.contiguous() {
		return spanned
	}
	count := 1
	for _, d := range t.shape {
		count *= d
	}
	out := make([]T, count)
	index := make([]int, len(t.shape))
	at := 0
	for i := range out {
		out[i] = spanned[at]
		for d := len(index) - 1; d >= 0; d-- {
			index[d]++
			at += t.strides[d]
			if index[d] < t.shape[d] {
				break
			}
			at -= index[d] * t.strides[d]
			index[d] = 0
		}
	}
	return out
}
