package gguf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/retort-ir/retort/internal/half"
)

// Type is the type of a tensor's values, by ggml's number.
type Type uint32

// The types that can be read.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q8_0 Type = 8
	Q6_K Type = 14
	BF16 Type = 30
)

// String returns ggml's name of the type.
func (t Type) String() string {
	if f, ok := formats[t]; ok {
		return f.name
	}
	return fmt.Sprintf("number %d", uint32(t))
}

// format describes a type's block: the number of values and bytes, and the function that reads it; nil if unsupported.
type format struct {
	name          string
	values, bytes int
	read          func(dst []float32, block []byte)
}

// formats are ggml's types (ggml.h, ggml-common.h).
var formats = map[Type]format{
	F32:  {"F32", 1, 4, readF32},
	F16:  {"F16", 1, 2, readF16},
	BF16: {"BF16", 1, 2, readBF16},
	Q4_0: {"Q4_0", 32, 18, readQ4_0},
	Q4_1: {"Q4_1", 32, 20, readQ4_1},
	Q8_0: {"Q8_0", 32, 34, readQ8_0},
	Q6_K: {"Q6_K", 256, 210, readQ6_K},

	6:  {"Q5_0", 32, 22, nil},
	7:  {"Q5_1", 32, 24, nil},
	9:  {"Q8_1", 32, 36, nil},
	10: {"Q2_K", 256, 84, nil},
	11: {"Q3_K", 256, 110, nil},
	12: {"Q4_K", 256, 144, nil},
	13: {"Q5_K", 256, 176, nil},
	15: {"Q8_K", 256, 292, nil},
	16: {"IQ2_XXS", 256, 66, nil},
	17: {"IQ2_XS", 256, 74, nil},
	18: {"IQ3_XXS", 256, 98, nil},
	19: {"IQ1_S", 256, 50, nil},
	20: {"IQ4_NL", 32, 18, nil},
	21: {"IQ3_S", 256, 110, nil},
	22: {"IQ2_S", 256, 82, nil},
	23: {"IQ4_XS", 256, 136, nil},
	24: {"I8", 1, 1, nil},
	25: {"I16", 1, 2, nil},
	26: {"I32", 1, 4, nil},
	27: {"I64", 1, 8, nil},
	28: {"F64", 1, 8, nil},
	29: {"IQ1_M", 256, 56, nil},
	34: {"TQ1_0", 256, 54, nil},
	35: {"TQ2_0", 256, 66, nil},
	39: {"MXFP4", 32, 17, nil},
}

// readable lists the types that can be read.
func readable() []string {
	var names []string
	for _, t := range slices.SortedFunc(maps.Keys(formats), func(a, b Type) int { return cmp.Compare(a, b) }) {
		if formats[t].read != nil {
			names = append(names, t.String())
		}
	}
	return names
}

func readF32(dst []float32, b []byte) {
	dst[0] = math.Float32frombits(binary.LittleEndian.Uint32(b))
}

func readF16(dst []float32, b []byte) { dst[0] = float16(b) }

func readBF16(dst []float32, b []byte) { dst[0] = half.FromBFloat16(binary.LittleEndian.Uint16(b)) }

// readQ8_0: a scale d, then 32 signed bytes; value = d q.
func readQ8_0(dst []float32, b []byte) {
	d := float16(b)
	for i, q := range b[2:34] {
		dst[i] = d * float32(int8(q))
	}
}

// readQ4_0: a scale d, then 16 bytes whose low halves are values 0 to 15 and high halves 16 to 31; value = d (q - 8).
func readQ4_0(dst []float32, b []byte) {
	d := float16(b)
	for i, q := range b[2:18] {
		dst[i] = d * float32(int(q&15)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

// readQ4_1: a scale d, a minimum m, then halves as in Q4_0; value = d q + m. The conversion keeps a processor from
// fusing the two steps, which would give other bits.
func readQ4_1(dst []float32, b []byte) {
	d, m := float16(b), float16(b[2:])
	for i, q := range b[4:20] {
		dst[i] = float32(d*float32(q&15)) + m
		dst[i+16] = float32(d*float32(q>>4)) + m
	}
}

// readQ6_K: 128 bytes with the low four bits, 64 with the high two, 16 signed scales of 16 values each, and a scale d
// of all; value = (d scale) (q - 32). Each half of 128 values has its bits in 64 and 32 bytes of their own.
func readQ6_K(dst []float32, b []byte) {
	d := float16(b[208:])
	for part := range 2 {
		low, high, scales, out := b[64*part:], b[128+32*part:], b[192+8*part:], dst[128*part:]
		for i := range 128 {
			q := low[i%64] >> (i / 64 * 4) & 15
			q |= high[i%32] >> (i / 32 * 2) & 3 << 4
			out[i] = float32(d*float32(int8(scales[i/16]))) * float32(int(q)-32)
		}
	}
}

func float16(b []byte) float32 { return half.Float32(binary.LittleEndian.Uint16(b)) }
