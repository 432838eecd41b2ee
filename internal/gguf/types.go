package gguf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Type is the type of a tensor's values, by ggml's number.
type Type uint32

// The types that can be read.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q2_K   Type = 10
	Q3_K   Type = 11
	Q4_K   Type = 12
	Q5_K   Type = 13
	Q6_K   Type = 14
	IQ4_NL Type = 20
	IQ4_XS Type = 23
	BF16   Type = 30
)

// String returns ggml's name of the type.
func (t Type) String() string {
	if f, ok := formats[t]; ok {
		return f.name
	}
	return fmt.Sprintf("number %d", uint32(t))
}

// format describes a type's block: the number of values and bytes, and the function that reads it. A type that has
// neither function is unsupported.
type format struct {
	name          string
	values, bytes int
	floats        func(dst []float32, data []byte) // all of dst
	unpack        func(c *chunk, i int, block []byte)
	// strip does what unpack does, of some blocks, and puts the groups where products want them. scales and quants do
	// it in two steps: the groups of one block, and the values of some. Only haveProduct allows strip and quants. A
	// type that has neither has unpack alone.
	strip   func(q *byte, scales, least *float32, data *byte, blocks int)
	scales  func(c *chunk, i int, block []byte)
	quants  func(q, data *byte, blocks int)
	fine    bool // a scale is for 16 values, not for 32
	shifted bool // groups have a least
}

func (f format) supported() bool { return f.floats != nil || f.unpack != nil }

// read dequantises whole blocks.
func (f format) read(dst []float32, data []byte) {
	if f.floats != nil {
		f.floats(dst, data)
		return
	}
	var c chunk
	for len(dst) > 0 {
		n := min(len(dst), chunkValues)
		for i := 0; i < n; i += f.values {
			f.unpack(&c, i, data[:f.bytes])
			data = data[f.bytes:]
		}
		expand(dst[:n], &c)
		dst = dst[n:]
	}
}

// formats are ggml's types (ggml.h, ggml-common.h).
var formats = map[Type]format{
	F32:  {name: "F32", values: 1, bytes: 4, floats: readF32},
	F16:  {name: "F16", values: 1, bytes: 2, floats: readF16},
	BF16: {name: "BF16", values: 1, bytes: 2, floats: readBF16},
	Q4_0: {name: "Q4_0", values: 32, bytes: 18, unpack: unpackQ4_0, strip: stripQ4_0AVX2},
	Q4_1: {name: "Q4_1", values: 32, bytes: 20, unpack: unpackQ4_1, strip: stripQ4_1AVX2, shifted: true},
	Q5_0: {name: "Q5_0", values: 32, bytes: 22, unpack: unpackQ5_0, strip: stripQ5_0AVX2},
	Q5_1: {name: "Q5_1", values: 32, bytes: 24, unpack: unpackQ5_1, shifted: true},
	Q8_0: {name: "Q8_0", values: 32, bytes: 34, unpack: unpackQ8_0, strip: stripQ8_0AVX2},

	Q2_K: {name: "Q2_K", values: 256, bytes: 84, unpack: unpackQ2_K, fine: true, shifted: true},
	Q3_K: {name: "Q3_K", values: 256, bytes: 110, unpack: unpackQ3_K, fine: true},
	Q4_K: {
		name: "Q4_K", values: 256, bytes: 144, unpack: unpackQ4_K, scales: scalesK4, quants: bytesQ4_KAVX2, shifted: true,
	},
	Q5_K: {name: "Q5_K", values: 256, bytes: 176, unpack: unpackQ5_K, shifted: true},
	Q6_K: {
		name: "Q6_K", values: 256, bytes: 210, unpack: unpackQ6_K, scales: scalesQ6_K, quants: bytesQ6_KAVX2, fine: true,
	},
	IQ4_NL: {name: "IQ4_NL", values: 32, bytes: 18, unpack: unpackIQ4_NL},
	IQ4_XS: {name: "IQ4_XS", values: 256, bytes: 136, unpack: unpackIQ4_XS},

	9:  {name: "Q8_1", values: 32, bytes: 36},
	15: {name: "Q8_K", values: 256, bytes: 292},
	16: {name: "IQ2_XXS", values: 256, bytes: 66},
	17: {name: "IQ2_XS", values: 256, bytes: 74},
	18: {name: "IQ3_XXS", values: 256, bytes: 98},
	19: {name: "IQ1_S", values: 256, bytes: 50},
	21: {name: "IQ3_S", values: 256, bytes: 110},
	22: {name: "IQ2_S", values: 256, bytes: 82},
	24: {name: "I8", values: 1, bytes: 1},
	25: {name: "I16", values: 1, bytes: 2},
	26: {name: "I32", values: 1, bytes: 4},
	27: {name: "I64", values: 1, bytes: 8},
	28: {name: "F64", values: 1, bytes: 8},
	29: {name: "IQ1_M", values: 256, bytes: 56},
	34: {name: "TQ1_0", values: 256, bytes: 54},
	35: {name: "TQ2_0", values: 256, bytes: 66},
	39: {name: "MXFP4", values: 32, bytes: 17},
}

// Quantised says whether the type keeps its values in blocks that share a scale.
func (t Type) Quantised() bool { return formats[t].values > 1 }

// readable lists the types that can be read.
func readable() []string {
	var names []string
	for _, t := range slices.SortedFunc(maps.Keys(formats), func(a, b Type) int { return cmp.Compare(a, b) }) {
		if formats[t].supported() {
			names = append(names, t.String())
		}
	}
	return names
}
