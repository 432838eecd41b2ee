// Package half converts 16-bit floating-point numbers.
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

// FromFloat32 converts to the nearest IEEE 754 binary16 number, ties to the even one; beyond 65,504, to infinity.
func FromFloat32(f float32) uint16 {
	b := math.Float32bits(f)
	sign, magnitude := uint16(b>>16)&0x8000, b&^(1<<31)
	switch {
	case magnitude > 0xff<<23: // NaN
		return sign | 0x7e00
	case magnitude >= 0x477ff000: // 65,520 is half-way to the number after the largest
		return sign | 0x7c00
	case magnitude < 113<<23: // below 2^-14 a number is a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(magnitude))*(1<<24)))
	}
	odd := magnitude >> 13 & 1
	return sign | uint16((magnitude-112<<23+0xfff+odd)>>13)
}
