package gguf

import (
	"encoding/binary"
	"math"

	"github.com/retort-ir/retort/internal/half"
)

// The functions below read one block each. The conversions to float32 keep a processor from fusing a product and a
// sum, which would give other bits than llama.cpp's reference.

func readF32(dst []float32, b []byte) {
	dst[0] = math.Float32frombits(binary.LittleEndian.Uint32(b))
}

func readF16(dst []float32, b []byte) { dst[0] = float16(b) }

func readBF16(dst []float32, b []byte) { dst[0] = half.FromBFloat16(binary.LittleEndian.Uint16(b)) }

// readQ8_0: a scale d, then 32 signed bytes; value = d q.
func readQ8_0(dst []float32, b []byte) {
	d, out, qs := float16(b), (*[32]float32)(dst), (*[32]byte)(b[2:])
	for i, q := range qs {
		out[i] = d * float32(int8(q))
	}
}

// readQ4_0: a scale d, then 16 bytes whose low halves are values 0 to 15 and high halves 16 to 31; value = d (q - 8).
func readQ4_0(dst []float32, b []byte) {
	d, out, qs := float16(b), (*[32]float32)(dst), (*[16]byte)(b[2:])
	for i, q := range qs {
		out[i] = d * float32(int(q&15)-8)
		out[i+16] = d * float32(int(q>>4)-8)
	}
}

// readQ4_1: a scale d, a minimum m, then halves as in Q4_0; value = d q + m.
func readQ4_1(dst []float32, b []byte) {
	d, m, out, qs := float16(b), float16(b[2:]), (*[32]float32)(dst), (*[16]byte)(b[4:])
	for i, q := range qs {
		out[i] = float32(d*float32(q&15)) + m
		out[i+16] = float32(d*float32(q>>4)) + m
	}
}

// readQ5_0: a scale d, 32 fifth bits, then halves as in Q4_0; value = d (q - 16).
func readQ5_0(dst []float32, b []byte) {
	d, out, qs := float16(b), (*[32]float32)(dst), (*[16]byte)(b[6:])
	high := binary.LittleEndian.Uint32(b[2:])
	for i, q := range qs {
		out[i] = d * float32(int32(uint32(q&15)|high>>i<<4&16)-16)
		out[i+16] = d * float32(int32(uint32(q>>4)|high>>(i+12)&16)-16)
	}
}

// readQ5_1: a scale d, a minimum m, 32 fifth bits, then halves as in Q4_0; value = d q + m.
func readQ5_1(dst []float32, b []byte) {
	d, m, out, qs := float16(b), float16(b[2:]), (*[32]float32)(dst), (*[16]byte)(b[8:])
	high := binary.LittleEndian.Uint32(b[4:])
	for i, q := range qs {
		out[i] = float32(d*float32(uint32(q&15)|high>>i<<4&16)) + m
		out[i+16] = float32(d*float32(uint32(q>>4)|high>>(i+12)&16)) + m
	}
}

// readQ2_K: 16 bytes with the scale (low half) and the minimum (high half) of 16 values each, 64 bytes of two bits a
// value, a scale d and a scale m of the minima; value = (d scale) q - m minimum. Each half of 128 values has its bits in
// 32 bytes of its own.
func readQ2_K(dst []float32, b []byte) {
	d, m := float16(b[80:]), float16(b[82:])
	for i := range 16 {
		scale, least := d*float32(b[i]&15), m*float32(b[i]>>4)
		out, qs := (*[16]float32)(dst[16*i:]), (*[16]byte)(b[16+i/8*32+i%2*16:])
		for j, q := range qs {
			out[j] = float32(scale*float32(q>>(i/2%4*2)&3)) - least
		}
	}
}

// readQ3_K: 32 bytes with the third bit of each value, 64 bytes of two bits a value as in Q2_K, 12 bytes of 16 scales
// of six bits, and a scale d; value = d (scale - 32) (q - 4).
func readQ3_K(dst []float32, b []byte) {
	d := float16(b[108:])
	for i := range 16 {
		six := b[96+i%8]>>(i/8*4)&15 | b[104+i%4]>>(i/4*2)&3<<4
		scale := d * float32(int(six)-32)
		out, qs := (*[16]float32)(dst[16*i:]), (*[16]byte)(b[32+i/8*32+i%2*16:])
		third := (*[16]byte)(b[i%2*16:])
		for j, q := range qs {
			out[j] = scale * float32(int(q>>(i/2%4*2)&3|third[j]>>(i/2)&1<<2)-4)
		}
	}
}

// scaleMinK4 returns the i-th of the eight pairs of scale and minimum of six bits that Q4_K and Q5_K keep in 12 bytes.
func scaleMinK4(b []byte, i int) (scale, least byte) {
	if i < 4 {
		return b[i] & 63, b[i+4] & 63
	}
	return b[i+4]&15 | b[i-4]>>6<<4, b[i+4]>>4 | b[i]>>6<<4
}

// readQ4_K: a scale d, a scale m of the minima, 12 bytes of scales and minima of 32 values each, then 128 bytes, of
// which 32 have 32 values in their low halves and the next 32 in their high halves; value = (d scale) q - m minimum.
func readQ4_K(dst []float32, b []byte) {
	d, m := float16(b), float16(b[2:])
	for i := range 8 {
		six, min6 := scaleMinK4(b[4:16], i)
		scale, least := d*float32(six), m*float32(min6)
		out, qs := (*[32]float32)(dst[32*i:]), (*[32]byte)(b[16+i/2*32:])
		for j, q := range qs {
			out[j] = float32(scale*float32(q>>(i%2*4)&15)) - least
		}
	}
}

// readQ5_K: as Q4_K, with 32 bytes of fifth bits before the halves.
func readQ5_K(dst []float32, b []byte) {
	d, m, fifth := float16(b), float16(b[2:]), (*[32]byte)(b[16:])
	for i := range 8 {
		six, min6 := scaleMinK4(b[4:16], i)
		scale, least := d*float32(six), m*float32(min6)
		out, qs := (*[32]float32)(dst[32*i:]), (*[32]byte)(b[48+i/2*32:])
		for j, q := range qs {
			out[j] = float32(scale*float32(q>>(i%2*4)&15|fifth[j]>>i&1<<4)) - least
		}
	}
}

// readQ6_K: 128 bytes with the low four bits, 64 with the high two, 16 signed scales of 16 values each, and a scale d
// of all; value = (d scale) (q - 32). Each half of 128 values has its bits in 64 and 32 bytes of their own.
func readQ6_K(dst []float32, b []byte) {
	d := float16(b[208:])
	for i := range 16 {
		scale := d * float32(int8(b[192+i]))
		out := (*[16]float32)(dst[16*i:])
		low, high := (*[16]byte)(b[i/8*64+i%4*16:]), (*[16]byte)(b[128+i/8*32+i%2*16:])
		for j, q := range low {
			out[j] = scale * float32(int(q>>(i/4%2*4)&15|high[j]>>(i/2%4*2)&3<<4)-32)
		}
	}
}

// iq4 are the 16 values of IQ4_NL and IQ4_XS, dense around zero as weights are.
var iq4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// readIQ4_NL: a scale d, then halves as in Q4_0; value = d iq4[q].
func readIQ4_NL(dst []float32, b []byte) { readIQ4(dst, float16(b), b[2:]) }

// readIQ4_XS: a scale d, eight scales of six bits, high parts first, and for each 16 bytes as in IQ4_NL; value =
// d (scale - 32) iq4[q].
func readIQ4_XS(dst []float32, b []byte) {
	d, high := float16(b), binary.LittleEndian.Uint16(b[2:])
	for i := range 8 {
		six := b[4+i/2]>>(i%2*4)&15 | byte(high>>(2*i)&3<<4)
		readIQ4(dst[32*i:], d*float32(int(six)-32), b[8+16*i:])
	}
}

func readIQ4(dst []float32, d float32, b []byte) {
	out := (*[32]float32)(dst)
	for i, q := range (*[16]byte)(b) {
		out[i] = d * iq4[q&15]
		out[i+16] = d * iq4[q>>4]
	}
}

func float16(b []byte) float32 { return half.Float32(binary.LittleEndian.Uint16(b)) }
