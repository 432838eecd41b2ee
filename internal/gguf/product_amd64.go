package gguf

import "golang.org/x/sys/cpu"

var haveProduct = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C

// tileAVX2 adds the tile's products to t.dst.
//
//go:noescape
func tileAVX2(t *tile)

// roundAVX2 rounds so many times 32 values, at least one and at most a chunk. 32 values are followed by those of the
// strip's other rows, and a sum by the other rows' sums.
//
//go:noescape
func roundAVX2(dst *int16, scale, sums *float32, src *float32, strips int)

// interleaveAVX2 writes laneRows rows of signed bytes, one behind the other, to half of a strip: two values of each
// row, then the room of the other half, then the next two.
//
//go:noescape
func interleaveAVX2(dst *int16, src *byte, columns int)

// The functions below unpack so many blocks, at least one, to q. Those that are named strip write the scales and least
// of all groups, too, into one lane of a strip. unpack_amd64.s has them.

//go:noescape
func stripQ4_0AVX2(q *byte, scales, least *float32, data *byte, blocks int)

//go:noescape
func stripQ4_1AVX2(q *byte, scales, least *float32, data *byte, blocks int)

//go:noescape
func stripQ5_0AVX2(q *byte, scales, least *float32, data *byte, blocks int)

//go:noescape
func stripQ8_0AVX2(q *byte, scales, least *float32, data *byte, blocks int)

//go:noescape
func bytesQ4_KAVX2(q, data *byte, blocks int)

//go:noescape
func bytesQ6_KAVX2(q, data *byte, blocks int)
