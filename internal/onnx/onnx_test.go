package onnx

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/retort-ir/retort/internal/safetensors"
)

// tiny.onnx is what PyTorch's exporter writes for encoder/transformer/testdata/tiny: testdata/make_golden.py.

func TestParametersEqualThoseThatWereExported(t *testing.T) {
	want, err := safetensors.Open("../../encoder/transformer/testdata/tiny/model.safetensors")
	require.NoError(t, err)
	defer want.Close()
	m, err := Open("testdata/tiny.onnx")
	require.NoError(t, err)
	parameters, err := m.Parameters()
	require.NoError(t, err)
	require.Len(t, parameters, 37)
	for _, p := range parameters {
		shape, values, err := want.Tensor(p.Name)
		require.NoError(t, err)
		require.Equal(t, shape, p.Shape, p.Name)
		require.Equal(t, values, p.Values, p.Name)
	}
	require.NoError(t, m.Close())
	require.NoError(t, m.Close(), "twice")
}

func TestTheGraph(t *testing.T) {
	m, err := Open("testdata/tiny.onnx")
	require.NoError(t, err)
	defer m.Close()
	require.Len(t, m.Names(), 37)
	shape, ok := m.Shape("embeddings.word_embeddings.weight")
	require.True(t, ok)
	require.Equal(t, []int{400, 32}, shape)
	products := 0
	for _, n := range m.nodes {
		if n.Op == "MatMul" {
			products++
			require.Len(t, n.Inputs, 2)
		}
	}
	require.Equal(t, 2*8, products, "six layers and two products of attention in each of two blocks")
	_, err = m.Floats("missing")
	require.EqualError(t, err, `testdata/tiny.onnx: no constant "missing"`)
	_, err = Open("testdata/missing.onnx")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestHalvesPackedDimensionsAndFloatData(t *testing.T) {
	half := message{}.varint(tensorType, typeFloat16).bytes(tensorName, "h").bytes(tensorDims, "\x02").bytes(tensorRaw, "\x00\x3c\x00\xc1")
	data := message{}.varint(tensorType, TypeFloat).bytes(tensorName, "f").varint(tensorDims, 1).bytes(tensorFloats, "\x00\x00\x80\x3f")
	m, err := Parse(graph(message{}.bytes(graphInitializer, string(half)).bytes(graphInitializer, string(data))), "m.onnx")
	require.NoError(t, err)
	values, err := m.Floats("h")
	require.NoError(t, err)
	require.Equal(t, []float32{1, -2.5}, values)
	values, err = m.Floats("f")
	require.NoError(t, err)
	require.Equal(t, []float32{1}, values)
}

func TestBadFilesAreErrorsThatNameTheFile(t *testing.T) {
	weight := message{}.varint(tensorType, TypeFloat).bytes(tensorName, "onnx::w").varint(tensorDims, 1).varint(tensorDims, 1).bytes(tensorRaw, "\x00\x00\x80\x3f")
	product := message{}.bytes(nodeOp, "MatMul").bytes(nodeName, "n").bytes(nodeInput, "x").bytes(nodeInput, "onnx::w").bytes(nodeOutput, "y")
	constant := func(t message) message { return message{}.bytes(graphInitializer, string(t)) }
	for name, c := range map[string]struct {
		data message
		want string
	}{
		"another format":     {message("PK\x03\x04 something"), "not a whole ONNX file"},
		"empty":              {nil, "not an ONNX file: 0 graphs"},
		"product, no bias":   {graph(constant(weight).bytes(graphNode, string(product))), `node "n": weight "onnx::w" has neither a name nor a bias`},
		"unused constant":    {graph(constant(weight)), `nothing in the graph says which parameter "onnx::w" of shape [1 1] is`},
		"Gemm":               {graph(message{}.bytes(graphNode, string(message{}.bytes(nodeOp, "Gemm").bytes(nodeName, "g")))), `node "g": Gemm is not supported`},
		"twice":              {graph(append(constant(weight), constant(weight)...)), `constant "onnx::w" occurs twice`},
		"huge dimension":     {graph(constant(message{}.varint(tensorDims, 1<<40))), "a dimension of 1099511627776"},
		"many dimensions":    {graph(constant(message{}.bytes(tensorDims, "\x01\x01\x01\x01\x01\x01\x01\x01\x01"))), "more than 8 dimensions"},
		"values elsewhere":   {graph(constant(message{}.varint(tensorType, TypeFloat).bytes(tensorName, "e").bytes(tensorExternal, ""))), `constant "e": its values are in another file`},
		"shape against data": {graph(constant(message{}.varint(tensorType, TypeFloat).bytes(tensorName, "s").varint(tensorDims, 3).bytes(tensorRaw, "\x00\x00\x80\x3f"))), "shape [3] does not fit its 4 bytes"},
		"beyond memory":      {graph(constant(message{}.varint(tensorType, TypeFloat).bytes(tensorName, "b").bytes(tensorDims, "\xff\xff\xff\xff\x07\xff\xff\xff\xff\x07"))), "is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Parse(c.data, "dir/m.onnx")
			if err == nil {
				_, err = m.Parameters()
			}
			require.ErrorContains(t, err, "dir/m.onnx: ")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAFileCutShortIsAnError(t *testing.T) {
	whole, err := os.ReadFile("testdata/tiny.onnx")
	require.NoError(t, err)
	for n := 1000; n < len(whole); n += 997 {
		_, err := Parse(whole[:n], "m.onnx")
		require.ErrorContains(t, err, "m.onnx: not a whole ONNX file", n)
	}
	path := filepath.Join(t.TempDir(), "cut.onnx")
	require.NoError(t, os.WriteFile(path, whole[:5000], 0o644))
	_, err = Open(path)
	require.ErrorContains(t, err, path)
}

// FuzzParse: no input makes Parse or Parameters panic.
func FuzzParse(f *testing.F) {
	golden, err := os.ReadFile("testdata/tiny.onnx")
	require.NoError(f, err)
	f.Add(golden[:0])
	f.Add([]byte(graph(message{}.bytes(graphInitializer, string(message{}.varint(tensorType, TypeFloat).varint(tensorDims, 1).bytes(tensorRaw, "abcd"))))))
	f.Add([]byte(graph(message{}.bytes(graphNode, string(message{}.bytes(nodeOp, "MatMul").bytes(nodeInput, "a").bytes(nodeInput, "b"))))))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data, "m.onnx")
		if err != nil {
			return
		}
		_, _ = m.Parameters()
	})
}

// message builds the bytes of a protocol buffer. Each method returns a longer copy.
type message []byte

func graph(g message) message { return message{}.bytes(modelGraph, string(g)) }

func (m message) bytes(number protowire.Number, value string) message {
	m = protowire.AppendTag(m[:len(m):len(m)], number, protowire.BytesType)
	return protowire.AppendBytes(m, []byte(value))
}

func (m message) varint(number protowire.Number, value uint64) message {
	m = protowire.AppendTag(m[:len(m):len(m)], number, protowire.VarintType)
	return protowire.AppendVarint(m, value)
}
