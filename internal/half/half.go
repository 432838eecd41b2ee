// Package half reads 16-bit floating-point numbers.
package half

import "math"

// Float32 converts an IEEE 754 binary16 number exactly.
func Float32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h) & 0x3ff
	switch exponent {
	case 0: // zero and subnormals: fraction * 2^-24
		v := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// FromBFloat16 converts a bfloat16 number, the upper half of a float32.
func FromBFloat16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }
