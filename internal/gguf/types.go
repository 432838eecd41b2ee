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
	F32:  {"F32", 1, 4, readF32, nil},
	F16:  {"F16", 1, 2, readF16, nil},
	BF16: {"BF16", 1, 2, readBF16, nil},
	Q4_0: {"Q4_0", 32, 18, nil, unpackQ4_0},
	Q4_1: {"Q4_1", 32, 20, nil, unpackQ4_1},
	Q5_0: {"Q5_0", 32, 22, nil, unpackQ5_0},
	Q5_1: {"Q5_1", 32, 24, nil, unpackQ5_1},
	Q8_0: {"Q8_0", 32, 34, nil, unpackQ8_0},

	Q2_K:   {"Q2_K", 256, 84, nil, unpackQ2_K},
	Q3_K:   {"Q3_K", 256, 110, nil, unpackQ3_K},
	Q4_K:   {"Q4_K", 256, 144, nil, unpackQ4_K},
	Q5_K:   {"Q5_K", 256, 176, nil, unpackQ5_K},
	Q6_K:   {"Q6_K", 256, 210, nil, unpackQ6_K},
	IQ4_NL: {"IQ4_NL", 32, 18, nil, unpackIQ4_NL},
	IQ4_XS: {"IQ4_XS", 256, 136, nil, unpackIQ4_XS},

	9:  {"Q8_1", 32, 36, nil, nil},
	15: {"Q8_K", 256, 292, nil, nil},
	16: {"IQ2_XXS", 256, 66, nil, nil},
	17: {"IQ2_XS", 256, 74, nil, nil},
	18: {"IQ3_XXS", 256, 98, nil, nil},
	19: {"IQ1_S", 256, 50, nil, nil},
	21: {"IQ3_S", 256, 110, nil, nil},
	22: {"IQ2_S", 256, 82, nil, nil},
	24: {"I8", 1, 1, nil, nil},
	25: {"I16", 1, 2, nil, nil},
	26: {"I32", 1, 4, nil, nil},
	27: {"I64", 1, 8, nil, nil},
	28: {"F64", 1, 8, nil, nil},
	29: {"IQ1_M", 256, 56, nil, nil},
	34: {"TQ1_0", 256, 54, nil, nil},
	35: {"TQ2_0", 256, 66, nil, nil},
	39: {"MXFP4", 32, 17, nil, nil},
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
