package gguf

import (
	"encoding/binary"
	"math"

	"github.com/retort-ir/retort/internal/half"
)

// chunk is some quantised values on their way to float32: value i is scale q[i] + least, with the pair of its group of
// 16. All quantised types are unpacked to this form, eight values at a time, whose bytes are the bytes of a uint64.
type chunk struct {
	q      [chunkValues]byte // signed
	groups [chunkValues / groupValues]group
}

type group struct{ scale, least float32 }

const chunkValues, groupValues = 256, 16

// none is the least of a value without one: unlike +0 it leaves -0 as it is.
var none = math.Float32frombits(1 << 31)

// put stores eight values from i on.
func (c *chunk) put(i int, bytes uint64) { binary.LittleEndian.PutUint64(c.q[i:], bytes) }

// putLess stores eight values of at most seven bits, each less n.
func (c *chunk) putLess(i int, bytes, n uint64) {
	const top = 0x80 * each
	c.put(i, (bytes|top)-n*each^top)
}

// set sets the scale and the least of the 32 values from i on.
func (c *chunk) set(i int, scale, least float32) {
	g := (*[2]group)(c.groups[i/groupValues:])
	g[0], g[1] = group{scale, least}, group{scale, least}
}

// each times a byte is eight of the bytes.
const each = 0x0101010101010101

// eight returns the bytes from i on.
func eight(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// spread returns the eight bits of a byte as a byte each.
func spread(b byte) uint64 {
	return (uint64(b)*each&0x8040201008040201 + 0x7f*each) >> 7 & each
}

// expand writes the values of a chunk to dst, as many as it is long: a multiple of groupValues.
func expand(dst []float32, c *chunk) {
	if haveAVX2 {
		expandAVX2(&dst[0], c, len(dst)/groupValues)
		return
	}
	expandGo(dst, c)
}

// expandGo is expand on any processor. The conversion keeps a processor from fusing the two steps, which would give
// other bits than llama.cpp's reference.
func expandGo(dst []float32, c *chunk) {
	for i := range len(dst) / groupValues {
		out, q, g := (*[groupValues]float32)(dst[i*groupValues:]), (*[groupValues]byte)(c.q[i*groupValues:]), c.groups[i]
		for j, v := range q {
			out[j] = float32(g.scale*float32(int8(v))) + g.least
		}
	}
}

// The functions below unpack one block b, whose values begin at value i of the chunk.

// unpackQ8_0: a scale d, then 32 signed bytes; value = d q.
func unpackQ8_0(c *chunk, i int, b []byte) {
	c.set(i, float16(b), none)
	for j := 0; j < 32; j += 8 {
		c.put(i+j, eight(b, 2+j))
	}
}

// unpackQ4_0: a scale d, then 16 bytes whose low halves are values 0 to 15 and high halves 16 to 31; value = d (q - 8).
func unpackQ4_0(c *chunk, i int, b []byte) {
	c.set(i, float16(b), none)
	for j := 0; j < 16; j += 8 {
		x := eight(b, 2+j)
		c.putLess(i+j, x&(15*each), 8)
		c.putLess(i+16+j, x>>4&(15*each), 8)
	}
}

// unpackQ4_1: a scale d, a minimum m, then halves as in Q4_0; value = d q + m.
func unpackQ4_1(c *chunk, i int, b []byte) {
	c.set(i, float16(b), float16(b[2:]))
	for j := 0; j < 16; j += 8 {
		x := eight(b, 4+j)
		c.put(i+j, x&(15*each))
		c.put(i+16+j, x>>4&(15*each))
	}
}

// unpackQ5_0: a scale d, 32 fifth bits, then halves as in Q4_0; value = d (q - 16).
func unpackQ5_0(c *chunk, i int, b []byte) {
	c.set(i, float16(b), none)
	for j := 0; j < 16; j += 8 {
		x := eight(b, 6+j)
		c.putLess(i+j, x&(15*each)|spread(b[2+j/8])<<4, 16)
		c.putLess(i+16+j, x>>4&(15*each)|spread(b[4+j/8])<<4, 16)
	}
}

// unpackQ5_1: a scale d, a minimum m, 32 fifth bits, then halves as in Q4_0; value = d q + m.
func unpackQ5_1(c *chunk, i int, b []byte) {
	c.set(i, float16(b), float16(b[2:]))
	for j := 0; j < 16; j += 8 {
		x := eight(b, 8+j)
		c.put(i+j, x&(15*each)|spread(b[4+j/8])<<4)
		c.put(i+16+j, x>>4&(15*each)|spread(b[6+j/8])<<4)
	}
}

// unpackQ2_K: 16 bytes with the scale (low half) and the minimum (high half) of 16 values each, 64 bytes of two bits a
// value, a scale d and a scale m of the minima; value = (d scale) q - m minimum. Each half of 128 values has its bits in
// 32 bytes of its own.
func unpackQ2_K(c *chunk, _ int, b []byte) {
	d, m := float16(b[80:]), float16(b[82:])
	for g := range 16 {
		c.groups[g] = group{d * float32(b[g]&15), -(m * float32(b[g]>>4))}
		from := 16 + g/8*32 + g%2*16
		for j := 0; j < 16; j += 8 {
			c.put(16*g+j, eight(b, from+j)>>(g/2%4*2)&(3*each))
		}
	}
}

// unpackQ3_K: 32 bytes with the third bit of each value, 64 bytes of two bits a value as in Q2_K, 12 bytes of 16 scales
// of six bits, and a scale d; value = d (scale - 32) (q - 4).
func unpackQ3_K(c *chunk, _ int, b []byte) {
	d := float16(b[108:])
	for g := range 16 {
		six := b[96+g%8]>>(g/8*4)&15 | b[104+g%4]>>(g/4*2)&3<<4
		c.groups[g] = group{d * float32(int(six)-32), none}
		from := 32 + g/8*32 + g%2*16
		for j := 0; j < 16; j += 8 {
			third := eight(b, g%2*16+j) >> (g / 2) & each
			c.putLess(16*g+j, eight(b, from+j)>>(g/2%4*2)&(3*each)|third<<2, 4)
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

func scalesK4(c *chunk, _ int, b []byte) {
	d, m := float16(b), float16(b[2:])
	for g := range 8 {
		scale, least := scaleMinK4(b[4:16], g)
		c.set(32*g, d*float32(scale), -(m * float32(least)))
	}
}

// unpackQ4_K: a scale d, a scale m of the minima, 12 bytes of scales and minima of 32 values each, then 128 bytes, of
// which 32 have 32 values in their low halves and the next 32 in their high halves; value = (d scale) q - m minimum.
func unpackQ4_K(c *chunk, i int, b []byte) {
	scalesK4(c, i, b)
	for g := range 8 {
		for j := 0; j < 32; j += 8 {
			c.put(32*g+j, eight(b, 16+g/2*32+j)>>(g%2*4)&(15*each))
		}
	}
}

// unpackQ5_K: as Q4_K, with 32 bytes of fifth bits before the halves.
func unpackQ5_K(c *chunk, i int, b []byte) {
	scalesK4(c, i, b)
	for g := range 8 {
		for j := 0; j < 32; j += 8 {
			fifth := eight(b, 16+j) >> g & each
			c.put(32*g+j, eight(b, 48+g/2*32+j)>>(g%2*4)&(15*each)|fifth<<4)
		}
	}
}

// unpackQ6_K: 128 bytes with the low four bits, 64 with the high two, 16 signed scales of 16 values each, and a scale d
// of all; value = (d scale) (q - 32). Each half of 128 values has its bits in 64 and 32 bytes of their own.
func unpackQ6_K(c *chunk, i int, b []byte) {
	scalesQ6_K(c, i, b)
	for g := range 16 {
		low, high := g/8*64+g%4*16, 128+g/8*32+g%2*16
		for j := 0; j < 16; j += 8 {
			x := eight(b, low+j) >> (g / 4 % 2 * 4) & (15 * each)
			c.putLess(16*g+j, x|eight(b, high+j)>>(g/2%4*2)&(3*each)<<4, 32)
		}
	}
}

func scalesQ6_K(c *chunk, _ int, b []byte) {
	d := float16(b[208:])
	for g := range 16 {
		c.groups[g] = group{d * float32(int8(b[192+g])), none}
	}
}

// iq4 are the 16 values of IQ4_NL and IQ4_XS, dense around zero as weights are.
var iq4 = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// unpackIQ4_NL: a scale d, then halves as in Q4_0; value = d iq4[q].
func unpackIQ4_NL(c *chunk, i int, b []byte) { c.putIQ4(i, float16(b), b[2:]) }

// unpackIQ4_XS: a scale d, eight scales of six bits, high parts first, and for each 16 bytes as in IQ4_NL; value =
// d (scale - 32) iq4[q].
func unpackIQ4_XS(c *chunk, _ int, b []byte) {
	d, high := float16(b), binary.LittleEndian.Uint16(b[2:])
	for g := range 8 {
		six := b[4+g/2]>>(g%2*4)&15 | byte(high>>(2*g)&3<<4)
		c.putIQ4(32*g, d*float32(int(six)-32), b[8+16*g:])
	}
}

func (c *chunk) putIQ4(i int, scale float32, b []byte) {
	c.set(i, scale, none)
	out := (*[32]byte)(c.q[i:])
	for j, q := range (*[16]byte)(b) {
		out[j], out[j+16] = byte(iq4[q&15]), byte(iq4[q>>4])
	}
}

func readF32(dst []float32, b []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
}

func readF16(dst []float32, b []byte) {
	for i := range dst {
		dst[i] = float16(b[2*i:])
	}
}

func readBF16(dst []float32, b []byte) {
	for i := range dst {
		dst[i] = half.FromBFloat16(binary.LittleEndian.Uint16(b[2*i:]))
	}
}

func float16(b []byte) float32 { return half.Float32(binary.LittleEndian.Uint16(b)) }
