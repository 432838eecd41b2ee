package main

import (
	"fmt"
	"strings"
)

// NEON has 32 registers of 4 floats.
const (
	neonRows   = 6 // of the largest tile
	neonFloats = 4
)

// neonProducts writes the tiles of two and four vectors' width, and the function that chooses one.
func neonProducts(w, declarations *writer) {
	body := ""
	for _, vectors := range []int{2, 4} {
		for rows := 1; rows <= neonRows; rows++ {
			neonTile(w, declarations, rows, vectors)
			body += fmt.Sprintf("case %d:\n%s(t)\n", rows+neonRows*(vectors/2-1), neonName(rows, vectors))
		}
	}
	declarations.line("\n// tileNEON computes a tile of some rows and of the columns of two or four vectors.")
	declarations.line("func tileNEON(rows, vectors int, t *tile) {\nswitch rows + %d*(vectors/2-1) {\n%s}\n}", neonRows, body)
}

func neonName(rows, vectors int) string {
	return fmt.Sprintf("tile%dx%dNEON", rows, vectors*neonFloats)
}

// neonList names n registers, the form in which loads and stores take them.
func neonList(first, n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("V%d.S4", first+i)
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// neonTile writes the product of some rows, pointed to by R1 to R6, with a panel of some vectors' width.
func neonTile(w, declarations *writer, rows, vectors int) {
	const column, factor = neonRows * 4, neonRows*4 + 4 // the first register of each
	pointer := func(i int) string { return fmt.Sprint("R", 1+i) }
	w.function(declarations, neonName(rows, vectors), "(t *tile)", 8)
	w.op("MOVD", "t+0(FP)", "R0")
	for _, f := range [][2]string{
		{"a", "R1"},
		{"b", "R7"},
		{"c", "R8"},
		{"ldc", "R9"},
		{"k", "R10"},
		{"start", "R11"},
		{"ahead", "R12"},
		{"step", "R13"},
		{"lda", "R14"},
	} {
		w.op("MOVD", "tile_"+f[0]+"(R0)", f[1])
	}
	for i := 1; i < rows; i++ {
		w.op("ADD", "R14", pointer(i-1), pointer(i))
	}
	w.op("CBZ", "R11", "resume")
	w.op("VLD1", "(R11)", neonList(0, vectors))
	for i := vectors; i < rows*vectors; i++ {
		w.op("VMOV", fmt.Sprintf("V%d.B16", i%vectors), fmt.Sprintf("V%d.B16", i))
	}
	w.op("B", "begin")
	w.label("resume")
	w.op("MOVD", "R8", "R15")
	for i := range rows {
		w.op("VLD1", "(R15)", neonList(i*vectors, vectors))
		w.op("ADD", "R9", "R15", "R15")
	}
	step := func() {
		w.op("VLD1.P", fmt.Sprintf("%d(R7)", vectors*16), neonList(column, vectors))
		for i := range rows {
			f := factor + i%4
			w.op("VLD1R.P", fmt.Sprintf("4(%s)", pointer(i)), neonList(f, 1))
			for j := range vectors {
				w.op("VFMLA", fmt.Sprintf("V%d.S4", column+j), fmt.Sprintf("V%d.S4", f), fmt.Sprintf("V%d.S4", i*vectors+j))
			}
		}
	}
	w.label("begin")
	w.op("LSR", "$2", "R10", "R15")
	w.op("CBZ", "R15", "rest")
	w.label("loop")
	for range steps * vectors / 4 { // a line of 64 bytes is 4 vectors
		w.op("PRFM", "(R12)", "PLDL1KEEP")
		w.op("ADD", "R13", "R12", "R12")
	}
	for range steps {
		step()
	}
	w.op("SUBS", "$1", "R15", "R15")
	w.op("BNE", "loop")
	w.label("rest")
	w.op("ANDS", fmt.Sprint("$", steps-1), "R10", "R10")
	w.op("BEQ", "done")
	w.label("single")
	step()
	w.op("SUBS", "$1", "R10", "R10")
	w.op("BNE", "single")
	w.label("done")
	for i := range rows {
		w.op("VST1", neonList(i*vectors, vectors), "(R8)")
		w.op("ADD", "R9", "R8", "R8")
	}
	w.op("RET")
}
