package gguf

import "golang.org/x/sys/cpu"

var haveProduct = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// tileAVX2 sets t.out.
//
//go:noescape
func tileAVX2(t *tile)

// roundAVX2 rounds so many times 32 values, at least one and at most a chunk. 32 values are followed by those of the
// strip's other rows, and a sum by the other rows' sums.
//
//go:noescape
func roundAVX2(dst *int16, scale, sums *float32, src *float32, strips int)

// widenAVX2 writes so many times 32 values of the chunk, each followed by 32 of the strip's other row, and their groups'
// scales and least in the same way.
//
//go:noescape
func widenAVX2(dst *int16, scales, least *float32, c *chunk, strips int)
