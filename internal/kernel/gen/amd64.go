package main

import "fmt"

// isa is an extension of amd64 with vectors of some width.
type isa struct {
	name      string
	register  string // the letter of its registers
	floats    int    // of a vector
	registers int
	rows      int // of the largest tile
}

var (
	avx2   = isa{name: "AVX2", register: "Y", floats: 8, registers: 16, rows: 6}
	avx512 = isa{name: "AVX512", register: "Z", floats: 16, registers: 32, rows: 12}
)

func (x isa) reg(i int) string { return fmt.Sprint(x.register, i) }

func (x isa) bytes() int { return 4 * x.floats }

// products writes the tiles of one and two vectors' width, and the function that chooses one.
func (x isa) products(w, declarations *writer) {
	for vectors := 1; vectors <= 2; vectors++ {
		for rows := 1; rows <= x.rows; rows++ {
			x.tile(w, declarations, rows, vectors)
		}
	}
	declarations.line("\n// tile%s computes a tile of some rows and of the columns of one or two vectors.", x.name)
	declarations.line("func tile%s(rows, vectors int, t *tile) {\nswitch rows + %d*(vectors-1) {", x.name, x.rows)
	for vectors := 1; vectors <= 2; vectors++ {
		for rows := 1; rows <= x.rows; rows++ {
			declarations.line("case %d:\n%s(t)", rows+x.rows*(vectors-1), x.tileName(rows, vectors))
		}
	}
	declarations.line("}\n}")
}

func (x isa) tileName(rows, vectors int) string {
	return fmt.Sprintf("tile%dx%d%s", rows, vectors*x.floats, x.name)
}

// steps is how often the loop over the columns of the left matrix is unrolled.
const steps = 4

// tile writes the product of some rows with a panel of some vectors' width. The sums stay in registers.
func (x isa) tile(w, declarations *writer, rows, vectors int) {
	sum := func(i, j int) string { return x.reg(i*vectors + j) }
	column := func(j int) string { return x.reg(rows*vectors + j) }
	spare := x.registers - (rows+1)*vectors
	factor := func(i int) string { return x.reg((rows+1)*vectors + i%min(spare, 4)) }
	left := newLeft(rows)

	w.function(declarations, x.tileName(rows, vectors), "(t *tile)", 8)
	w.op("MOVQ", "t+0(FP)", "AX")
	for _, f := range [][2]string{
		{"a", "SI"}, {"lda", "DX"}, {"b", "BX"}, {"c", "DI"}, {"ldc", "R12"}, {"k", "CX"}, {"start", "R13"},
	} {
		w.op("MOVQ", "tile_"+f[0]+"(AX)", f[1])
	}
	left.point(w)
	w.op("TESTQ", "R13", "R13")
	w.op("JZ", "resume")
	for i := range rows {
		for j := range vectors {
			if i == 0 {
				w.op("VMOVUPS", fmt.Sprintf("%d(R13)", j*x.bytes()), sum(0, j))
			} else {
				w.op("VMOVAPS", sum(0, j), sum(i, j))
			}
		}
	}
	w.op("JMP", "begin")
	w.label("resume")
	w.op("MOVQ", "DI", "R11")
	for i := range rows {
		for j := range vectors {
			w.op("VMOVUPS", fmt.Sprintf("%d(R11)", j*x.bytes()), sum(i, j))
		}
		if i+1 < rows {
			w.op("ADDQ", "R12", "R11")
		}
	}
	w.label("begin")
	w.op("MOVQ", "tile_ahead(AX)", "R13")
	w.op("MOVQ", "tile_step(AX)", "AX")
	w.op("MOVQ", "CX", "R11")
	w.op("SHRQ", "$2", "R11")
	w.op("JZ", "rest")
	w.op("PCALIGN", "$32")
	step := func(s int) {
		for j := range vectors {
			w.op("VMOVUPS", fmt.Sprintf("%d(BX)", (s*vectors+j)*x.bytes()), column(j))
		}
		for i := range rows {
			f := factor(s*rows + i)
			w.op("VBROADCASTSS", left.at(i, 4*s), f)
			for j := range vectors {
				w.op("VFMADD231PS", column(j), f, sum(i, j))
			}
		}
	}
	advance := func(steps int) {
		w.op("ADDQ", fmt.Sprint("$", steps*vectors*x.bytes()), "BX")
		left.advance(w, steps)
	}
	w.label("loop")
	const line = 64
	for s, read := 0, 0; s < steps; s++ {
		for read += vectors * x.bytes(); read >= line; read -= line {
			w.op("PREFETCHT0", "(R13)")
			w.op("ADDQ", "AX", "R13")
		}
		step(s)
	}
	advance(steps)
	w.op("DECQ", "R11")
	w.op("JNZ", "loop")
	w.label("rest")
	w.op("ANDQ", fmt.Sprint("$", steps-1), "CX")
	w.op("JZ", "done")
	w.label("single")
	step(0)
	advance(1)
	w.op("DECQ", "CX")
	w.op("JNZ", "single")
	w.label("done")
	for i := range rows {
		for j := range vectors {
			w.op("VMOVUPS", sum(i, j), fmt.Sprintf("%d(DI)", j*x.bytes()))
		}
		if i+1 < rows {
			w.op("ADDQ", "R12", "DI")
		}
	}
	w.op("VZEROUPPER")
	w.op("RET")
}

// left addresses the rows of the left matrix: a register points to every third, DX bytes apart.
type left []string

func newLeft(rows int) left { return left{"SI", "R8", "R9", "R10"}[:(rows+2)/3] }

func (l left) point(w *writer) {
	if len(l) > 1 {
		w.op("LEAQ", "(DX)(DX*2)", "R11")
	}
	for i := 1; i < len(l); i++ {
		w.op("LEAQ", fmt.Sprintf("(%s)(R11*1)", l[i-1]), l[i])
	}
}

func (l left) at(row, offset int) string {
	address := fmt.Sprintf("%d(%s)", offset, l[row/3])
	if row%3 > 0 {
		address += fmt.Sprintf("(DX*%d)", row%3)
	}
	return address
}

func (l left) advance(w *writer, steps int) {
	for _, r := range l {
		w.op("ADDQ", fmt.Sprint("$", 4*steps), r)
	}
}

// transpose writes the transposition of blocks of 8 x 8 floats, for packing.
func transpose(w, declarations *writer) {
	w.function(declarations, "transposeAVX2", "(dst *float32, ldd int, src *float32, lds, blocks int)", 40)
	for _, f := range []string{"dst+0(FP), DI", "ldd+8(FP), DX", "src+16(FP), SI", "lds+24(FP), R8", "blocks+32(FP), CX"} {
		w.op("MOVQ", f)
	}
	w.op("LEAQ", "(R8)(R8*2)", "R9")
	w.op("LEAQ", "(DX)(DX*2)", "R10")
	w.label("loop")
	w.op("LEAQ", "(SI)(R8*4)", "R11")
	for i, address := range []string{
		"(SI)", "(SI)(R8*1)", "(SI)(R8*2)", "(SI)(R9*1)", "(R11)", "(R11)(R8*1)", "(R11)(R8*2)", "(R11)(R9*1)",
	} {
		w.op("VMOVUPS", address, avx2.reg(i))
	}
	three := func(op string, a, b, to int) { w.op(op, avx2.reg(b), avx2.reg(a), avx2.reg(to)) }
	for i := 0; i < 8; i += 2 { // pairs of rows: two columns of each half
		three("VUNPCKLPS", i, i+1, 8+i)
		three("VUNPCKHPS", i, i+1, 9+i)
	}
	for half := range 2 { // four rows: a column of each half
		for pair := range 2 {
			a, b := 8+4*half+pair, 10+4*half+pair
			three("VUNPCKLPD", a, b, 4*half+2*pair)
			three("VUNPCKHPD", a, b, 4*half+2*pair+1)
		}
	}
	w.op("LEAQ", "(DI)(DX*4)", "R11")
	for i := range 4 {
		w.op("VPERM2F128", "$0x20", avx2.reg(4+i), avx2.reg(i), avx2.reg(8+i))
		w.op("VPERM2F128", "$0x31", avx2.reg(4+i), avx2.reg(i), avx2.reg(12+i))
	}
	for i, address := range []string{
		"(DI)", "(DI)(DX*1)", "(DI)(DX*2)", "(DI)(R10*1)", "(R11)", "(R11)(DX*1)", "(R11)(DX*2)", "(R11)(R10*1)",
	} {
		w.op("VMOVUPS", avx2.reg(8+i), address)
	}
	w.op("ADDQ", "$32", "SI")
	w.op("LEAQ", "(DI)(DX*8)", "DI")
	w.op("DECQ", "CX")
	w.op("JNZ", "loop")
	w.op("VZEROUPPER")
	w.op("RET")
}
