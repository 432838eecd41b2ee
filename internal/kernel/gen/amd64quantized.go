package main

import "fmt"

// quantized writes the functions of vectors of 16 and 8 bits, for AVX2 alone: they are bound by memory.
func quantized(w, declarations *writer) {
	widen(w, declarations)
	dotsInt8(w, declarations)
}

// widen converts eight numbers at a time: n is a multiple of 8.
func widen(w, declarations *writer) {
	w.function(declarations, "widenAVX2", "(dst *float32, x *uint16, n int)", 24)
	w.op("MOVQ", "dst+0(FP)", "DI")
	w.op("MOVQ", "x+8(FP)", "SI")
	w.op("MOVQ", "n+16(FP)", "CX")
	w.op("XORQ", "DX", "DX")
	w.label("loop")
	w.op("CMPQ", "DX", "CX")
	w.op("JGE", "done")
	w.op("VCVTPH2PS", "(SI)(DX*2)", "Y0")
	w.op("VMOVUPS", "Y0", "(DI)(DX*4)")
	w.op("ADDQ", "$8", "DX")
	w.op("JMP", "loop")
	w.label("done")
	w.op("VZEROUPPER")
	w.op("RET")
}

// dotsInt8 multiplies a row with four queries, 16 numbers at a time: n is a multiple of 16. It widens the row once.
func dotsInt8(w, declarations *writer) {
	const queries = 4
	pointers := [queries]string{"R8", "R9", "R10", "R11"}
	w.function(declarations, "dotsInt8AVX2", "(dst *int32, row *int8, queries *int16, n int)", 32)
	w.op("MOVQ", "dst+0(FP)", "DI")
	w.op("MOVQ", "row+8(FP)", "SI")
	w.op("MOVQ", "queries+16(FP)", "R8")
	w.op("MOVQ", "n+24(FP)", "CX")
	for q := range queries {
		if q > 0 {
			w.op("LEAQ", fmt.Sprintf("(%s)(CX*2)", pointers[q-1]), pointers[q])
		}
		w.op("VPXOR", reg(q), reg(q), reg(q))
	}
	w.op("XORQ", "DX", "DX")
	w.label("loop")
	w.op("CMPQ", "DX", "CX")
	w.op("JGE", "sum")
	w.op("VPMOVSXBW", "(SI)(DX*1)", reg(queries))
	for q := range queries {
		w.op("VPMADDWD", fmt.Sprintf("(%s)(DX*2)", pointers[q]), reg(queries), reg(queries+1+q))
		w.op("VPADDD", reg(queries+1+q), reg(q), reg(q))
	}
	w.op("ADDQ", "$16", "DX")
	w.op("JMP", "loop")
	w.label("sum")
	w.op("VPHADDD", "Y1", "Y0", "Y0")
	w.op("VPHADDD", "Y3", "Y2", "Y2")
	w.op("VPHADDD", "Y2", "Y0", "Y0")
	w.op("VEXTRACTI128", "$1", "Y0", "X1")
	w.op("VPADDD", "X1", "X0", "X0")
	w.op("VMOVDQU", "X0", "(DI)")
	w.op("VZEROUPPER")
	w.op("RET")
}

func reg(i int) string { return avx2.reg(i) }
