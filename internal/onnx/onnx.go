package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/retort-ir/retort/internal/half"
	"github.com/retort-ir/retort/internal/mmap"
)

// Model is an open ONNX file. It is safe for concurrent use; only Close must not overlap a read.
type Model struct {
	path    string
	close   func() error
	nodes   []Node
	names   []string // of the tensors, in the file's order
	tensors map[string]tensor
}

// Node is one operation of the graph.
type Node struct {
	Name, Op        string
	Inputs, Outputs []string
}

// tensor is a constant of the graph; its bytes lie in the mapped file.
type tensor struct {
	shape    []int
	kind     int32
	raw      []byte // little-endian, row-major
	floats   []byte // instead of raw: packed float_data
	external bool   // neither: the values are in another file
}

// The types of tensors (TensorProto.DataType). The values of float and float16 can be read.
const (
	TypeFloat   = 1
	typeInt64   = 7
	typeFloat16 = 10
)

// Open maps the file and reads its graph.
func Open(path string) (*Model, error) {
	f, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := Parse(f.Bytes(), path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	m.close = f.Close
	return m, nil
}

// Parse reads a file from memory, which the Model keeps. name names it in errors.
func Parse(data []byte, name string) (*Model, error) {
	m := &Model{path: name, close: func() error { return nil }, tensors: map[string]tensor{}}
	graphs := 0
	err := eachField(data, func(f field) error {
		if f.number != modelGraph {
			return nil
		}
		graphs++
		return m.parseGraph(f.bytes)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if graphs != 1 {
		return nil, fmt.Errorf("%s: not an ONNX file: %d graphs, 1 is expected", name, graphs)
	}
	return m, nil
}

// Close unmaps the file; nothing may be read afterwards. Closing twice is harmless.
func (m *Model) Close() error { return m.close() }

// Names returns the names of the constants, in the file's order.
func (m *Model) Names() []string { return slices.Clone(m.names) }

// Shape returns the shape of a constant, and whether there is one of that name.
func (m *Model) Shape(name string) ([]int, bool) {
	t, ok := m.tensors[name]
	return slices.Clone(t.shape), ok
}

// Floats returns the values of a constant of type float32 or float16, row-major; they belong to the caller.
func (m *Model) Floats(name string) ([]float32, error) {
	t, ok := m.tensors[name]
	if !ok {
		return nil, fmt.Errorf("%s: no constant %q", m.path, name)
	}
	values, err := t.values()
	if err != nil {
		return nil, fmt.Errorf("%s: constant %q: %w", m.path, name, err)
	}
	return values, nil
}

func (t tensor) values() ([]float32, error) {
	if !t.isFloat() {
		return nil, fmt.Errorf("it is of type %d; float (%d) and float16 (%d) can be read", t.kind, TypeFloat, typeFloat16)
	}
	if t.external {
		return nil, errors.New("its values are in another file, which is not supported")
	}
	data, width := t.raw, 4
	switch {
	case data == nil && t.kind == TypeFloat:
		data = t.floats
	case t.kind == typeFloat16:
		width = 2
	}
	n := 1
	for _, d := range t.shape {
		if d != 0 && n > math.MaxInt32/d {
			return nil, fmt.Errorf("shape %v is too large", t.shape)
		}
		n *= d
	}
	if n*width != len(data) {
		return nil, fmt.Errorf("shape %v does not fit its %d bytes", t.shape, len(data))
	}
	values := make([]float32, n)
	for i := range values {
		if width == 2 {
			values[i] = half.Float32(binary.LittleEndian.Uint16(data[2*i:]))
		} else {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	}
	return values, nil
}

func (t tensor) isFloat() bool { return t.kind == TypeFloat || t.kind == typeFloat16 }

// The numbers of the fields that are read (onnx.proto).
const (
	modelGraph = 7 // ModelProto

	graphNode        = 1 // GraphProto
	graphInitializer = 5

	nodeInput  = 1 // NodeProto
	nodeOutput = 2
	nodeName   = 3
	nodeOp     = 4

	tensorDims     = 1 // TensorProto
	tensorType     = 2
	tensorFloats   = 4
	tensorName     = 8
	tensorRaw      = 9
	tensorExternal = 13
	tensorSegment  = 3
	maxDims        = 8
	maxDimension   = math.MaxInt32
)

func (m *Model) parseGraph(data []byte) error {
	return eachField(data, func(f field) error {
		switch f.number {
		case graphNode:
			n, err := parseNode(f.bytes)
			if err != nil {
				return fmt.Errorf("node %d: %w", len(m.nodes)+1, err)
			}
			m.nodes = append(m.nodes, n)
		case graphInitializer:
			name, t, err := parseTensor(f.bytes)
			if err != nil {
				return fmt.Errorf("constant %d (%q): %w", len(m.names)+1, name, err)
			}
			if _, ok := m.tensors[name]; ok {
				return fmt.Errorf("constant %q occurs twice", name)
			}
			m.names = append(m.names, name)
			m.tensors[name] = t
		}
		return nil
	})
}

func parseNode(data []byte) (Node, error) {
	var n Node
	err := eachField(data, func(f field) error {
		switch f.number {
		case nodeInput:
			n.Inputs = append(n.Inputs, string(f.bytes))
		case nodeOutput:
			n.Outputs = append(n.Outputs, string(f.bytes))
		case nodeName:
			n.Name = string(f.bytes)
		case nodeOp:
			n.Op = string(f.bytes)
		}
		return nil
	})
	return n, err
}

func parseTensor(data []byte) (string, tensor, error) {
	var t tensor
	name := ""
	err := eachField(data, func(f field) error {
		switch f.number {
		case tensorDims:
			return t.addDims(f)
		case tensorType:
			t.kind = int32(f.varint)
		case tensorFloats:
			if f.kind != protowire.BytesType {
				return errors.New("float_data is not packed")
			}
			t.floats = f.bytes
		case tensorName:
			name = string(f.bytes)
		case tensorRaw:
			t.raw = f.bytes
		case tensorExternal:
			t.external = true
		case tensorSegment:
			return errors.New("a segment of a tensor, which is not supported")
		}
		return nil
	})
	return name, t, err
}

// addDims adds one dimension, or a packed list of them.
func (t *tensor) addDims(f field) error {
	if f.kind == protowire.VarintType {
		return t.addDim(f.varint)
	}
	for rest := f.bytes; len(rest) > 0; {
		d, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return fmt.Errorf("dims: %w", protowire.ParseError(n))
		}
		if err := t.addDim(d); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (t *tensor) addDim(d uint64) error {
	if d > maxDimension {
		return fmt.Errorf("a dimension of %d", d)
	}
	if len(t.shape) == maxDims {
		return fmt.Errorf("more than %d dimensions", maxDims)
	}
	t.shape = append(t.shape, int(d))
	return nil
}

// field is one field of a message: a number or bytes, whichever its kind says.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64
	bytes  []byte
}

// eachField calls do for each field of a message that holds a varint or bytes.
func eachField(data []byte, do func(field) error) error {
	for rest := data; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return fmt.Errorf("not a whole ONNX file: byte %d of a message of %d: %w",
				len(data)-len(rest), len(data), protowire.ParseError(n))
		}
		f := field{number: number, kind: kind}
		body := rest[n:]
		switch kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(body)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(body)
		default:
			n = protowire.ConsumeFieldValue(number, kind, body)
		}
		if n < 0 {
			return fmt.Errorf("not a whole ONNX file: byte %d of a message of %d: field %d: %w",
				len(data)-len(rest), len(data), number, protowire.ParseError(n))
		}
		rest = body[n:]
		if kind != protowire.VarintType && kind != protowire.BytesType {
			continue
		}
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}
