package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Graph is a network that is being built, of operations of opset 17. The zero value is an empty graph. The values of its
// weights are read when it is saved.
type Graph struct {
	nodes           []byte // the encoded fields of a GraphProto
	inputs, outputs []byte
	count           int // of nodes, which their names end with
	constants       map[string]Value
	weights         []weight
	inline          int64 // the largest file that holds its weights; 0: maxInline
}

// Value is the name of a value of a graph.
type Value string

// Dim is one dimension of an input or an output: a number or the name of one that varies.
type Dim struct {
	Size   int
	Symbol string // "": the dimension is Size
}

// weight is a constant of float32 whose values are read late.
type weight struct {
	name  string
	shape []int
	read  func() ([]float32, error)
}

// Versions of the format: those of ONNX 1.12.
const (
	irVersion = 8
	opset     = 17
)

// Ints64 is an input of type int64.
func (g *Graph) Ints64(name string, dims ...Dim) Value {
	g.inputs = appendBytes(g.inputs, graphInput, valueInfo(name, typeInt64, dims))
	return Value(name)
}

// Output makes a value of type float32 an output.
func (g *Graph) Output(name string, of Value, dims ...Dim) {
	g.node("Identity", nil, []Value{of}, name)
	g.outputs = appendBytes(g.outputs, graphOutput, valueInfo(name, TypeFloat, dims))
}

// Weight adds a constant. Save calls read, which returns its values row-major.
func (g *Graph) Weight(name string, shape []int, read func() ([]float32, error)) Value {
	g.weights = append(g.weights, weight{name, shape, read})
	return Value(name)
}

// Linear returns x W^T + b for a weight [out x in], which the file holds transposed, and a bias; "" for none. x is [... x
// in].
func (g *Graph) Linear(x Value, name string, out, in int, read func() ([]float32, error), bias Value) Value {
	w := g.Weight(name, []int{in, out}, func() ([]float32, error) {
		values, err := read()
		if err != nil {
			return nil, err
		}
		if len(values) != out*in {
			return nil, fmt.Errorf("%s: %d values for the shape [%d %d]", name, len(values), out, in)
		}
		return transpose(values, out, in), nil
	})
	product := g.Op("MatMul", x, w)
	if bias == "" {
		return product
	}
	return g.Op("Add", bias, product)
}

// Float returns a scalar.
func (g *Graph) Float(value float32) Value {
	raw := binary.LittleEndian.AppendUint32(nil, math.Float32bits(value))
	return g.constant(TypeFloat, nil, raw)
}

// Floats returns a vector.
func (g *Graph) Floats(values ...float32) Value {
	return g.constant(TypeFloat, []int{len(values)}, appendFloats(nil, values))
}

// Int returns a scalar of type int64.
func (g *Graph) Int(value int64) Value {
	return g.constant(typeInt64, nil, binary.LittleEndian.AppendUint64(nil, uint64(value)))
}

// Ints returns a vector of type int64.
func (g *Graph) Ints(values ...int64) Value {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return g.constant(typeInt64, []int{len(values)}, raw)
}

// constant returns a small constant. It is a node, because [Model.Parameters] takes the other constants for parameters.
func (g *Graph) constant(kind int32, shape []int, raw []byte) Value {
	t := appendBytes(tensorHeader("", kind, shape), tensorRaw, raw)
	if v, ok := g.constants[string(t)]; ok {
		return v
	}
	v := g.OpWith("Constant", []Attribute{attribute("value", attributeTensor, appendBytes(nil, attributeT, t))})
	if g.constants == nil {
		g.constants = map[string]Value{}
	}
	g.constants[string(t)] = v
	return v
}

// Op returns the result of an operation without attributes.
func (g *Graph) Op(op string, inputs ...Value) Value { return g.OpWith(op, nil, inputs...) }

// OpWith returns the result of an operation with attributes.
func (g *Graph) OpWith(op string, attributes []Attribute, inputs ...Value) Value {
	output := g.next(op)
	g.node(op, attributes, inputs, output)
	return Value(output)
}

// Split cuts a value along an axis into parts of the given sizes.
func (g *Graph) Split(x Value, axis int, sizes ...int) []Value {
	var names []string
	var parts []Value
	var lengths []int64
	for _, size := range sizes {
		name := g.next("Split")
		names, parts, lengths = append(names, name), append(parts, Value(name)), append(lengths, int64(size))
	}
	g.node("Split", []Attribute{Int("axis", axis)}, []Value{x, g.Ints(lengths...)}, names...)
	return parts
}

func (g *Graph) next(op string) string {
	g.count++
	return fmt.Sprintf("%s_%d", op, g.count)
}

func (g *Graph) node(op string, attributes []Attribute, inputs []Value, outputs ...string) {
	var n []byte
	for _, in := range inputs {
		n = appendBytes(n, nodeInput, []byte(in))
	}
	for _, out := range outputs {
		n = appendBytes(n, nodeOutput, []byte(out))
	}
	n = appendBytes(n, nodeName, []byte("node_"+outputs[0]))
	n = appendBytes(n, nodeOp, []byte(op))
	for _, a := range attributes {
		n = appendBytes(n, nodeAttribute, a)
	}
	g.nodes = appendBytes(g.nodes, graphNode, n)
}

// Attribute is a setting of an operation, encoded.
type Attribute []byte

// Int is a number.
func Int(name string, value int) Attribute {
	return attribute(name, attributeInt, appendVarint(nil, attributeI, uint64(int64(value))))
}

// Ints is a list of numbers.
func Ints(name string, values ...int) Attribute {
	var list []byte
	for _, v := range values {
		list = appendVarint(list, attributeInts, uint64(int64(v)))
	}
	return attribute(name, attributeIntList, list)
}

// Float is a number of float32.
func Float(name string, value float64) Attribute {
	f := protowire.AppendTag(nil, attributeF, protowire.Fixed32Type)
	f = protowire.AppendFixed32(f, math.Float32bits(float32(value)))
	return attribute(name, attributeFloat, f)
}

func attribute(name string, kind uint64, value []byte) Attribute {
	a := appendBytes(nil, attributeName, []byte(name))
	return appendVarint(append(a, value...), attributeType, kind)
}

func valueInfo(name string, kind int32, dims []Dim) []byte {
	var shape []byte
	for _, d := range dims {
		var dim []byte
		if d.Symbol != "" {
			dim = appendBytes(nil, dimSymbol, []byte(d.Symbol))
		} else {
			dim = appendVarint(nil, dimSize, uint64(d.Size))
		}
		shape = appendBytes(shape, shapeDim, dim)
	}
	t := appendBytes(appendVarint(nil, typeElement, uint64(kind)), typeShape, shape)
	return appendBytes(appendBytes(nil, valueName, []byte(name)), valueType, appendBytes(nil, typeTensor, t))
}

// The numbers of the fields that are written and not read (onnx.proto).
const (
	modelVersion  = 1 // ModelProto
	modelProducer = 2
	modelOpset    = 8
	opsetVersion  = 2 // OperatorSetIdProto

	graphName   = 2 // GraphProto
	graphInput  = 11
	graphOutput = 12

	nodeAttribute = 5 // NodeProto

	attributeName = 1 // AttributeProto
	attributeF    = 2
	attributeI    = 3
	attributeT    = 5
	attributeInts = 8
	attributeType = 20

	attributeFloat   = 1 // AttributeProto.AttributeType
	attributeInt     = 2
	attributeTensor  = 4
	attributeIntList = 7

	valueName   = 1 // ValueInfoProto
	valueType   = 2
	typeTensor  = 1 // TypeProto
	typeElement = 1 // TypeProto.Tensor
	typeShape   = 2
	shapeDim    = 1 // TensorShapeProto
	dimSize     = 1 // TensorShapeProto.Dimension
	dimSymbol   = 2

	tensorLocation  = 14 // TensorProto
	entryKey        = 1  // StringStringEntryProto
	entryValue      = 2
	locatedExternal = 1 // TensorProto.DataLocation
)

func appendVarint(b []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), value)
}

func appendBytes(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), value)
}

func appendFloats(b []byte, values []float32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
