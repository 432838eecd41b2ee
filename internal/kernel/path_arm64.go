//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// assembly returns the implementations in assembly that this machine runs.
func assembly() []*implementation {
	if !cpu.ARM64.HasASIMD {
		return nil
	}
	neon := plain // but for products
	neon.path, neon.panel, neon.narrow, neon.rows, neon.mul = NEON, 16, 8, 6, mulTiles
	return []*implementation{&neon}
}

// tileOf computes a tile of some rows and of a panel's columns.
func (p *Packed) tileOf(rows, width int, t *tile) { tileNEON(rows, width/4, t) }
