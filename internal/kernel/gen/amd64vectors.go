package main

import (
	"fmt"
	"math"
)

// vectors writes the functions of vectors of any length. A last part that fills no register is read and written by
// mask; what the mask leaves out is 0.
func (x isa) vectors(w, declarations *writer) {
	f := vectorFunctions{isa: x, w: w, declarations: declarations}
	f.binary("add", "VADDPS")
	f.binary("multiply", "VMULPS")
	f.scale()
	f.relu()
	f.gelu()
	f.geluTanh()
	f.silu()
	f.softmax()
	f.layerNorm()
	f.rmsNorm()
	f.dot()
	f.firstAbove()
}

type vectorFunctions struct {
	isa
	w, declarations *writer
}

// begin begins a function and loads its pointers and, last, its length to CX.
func (f vectorFunctions) begin(name, signature string, bytes int, arguments ...string) {
	f.w.function(f.declarations, name+f.name, signature, bytes)
	for i, a := range arguments {
		f.w.op("MOVQ", fmt.Sprintf("%s+%d(FP)", a, 8*i), f.argument(i, len(arguments)))
	}
}

// argument returns the register of argument i of some.
func (f vectorFunctions) argument(i, of int) string {
	if i == of-1 {
		return "CX"
	}
	return []string{"DI", "SI", "R8", "R9", "R10"}[i]
}

func (f vectorFunctions) end() {
	f.w.op("VZEROUPPER")
	f.w.op("RET")
}

// op writes an instruction whose operands are numbers of registers or texts, in Go's order: the destination last.
func (f vectorFunctions) op(name string, operands ...any) {
	for i, o := range operands {
		if r, ok := o.(int); ok {
			operands[i] = f.reg(r)
		}
	}
	f.w.op(name, operands...)
}

// constant broadcasts one of the constants.
func (f vectorFunctions) constant(name string, to int) {
	f.op("VBROADCASTSS", name+"<>(SB)", to)
}

func (f vectorFunctions) zero(r int) {
	if f.register == "Z" {
		f.op("VPXORD", r, r, r)
		return
	}
	f.op("VXORPS", r, r, r)
}

func (f vectorFunctions) and(a, b, to int) {
	if f.register == "Z" {
		f.op("VPANDD", a, b, to)
		return
	}
	f.op("VANDPS", a, b, to)
}

// The register of the last part's mask in AVX2; AVX512 has it in K1.
const mask = 15

// each writes a loop over CX numbers: body for whole registers, and again for the rest. The pointers advance. Label
// names begin with prefix. AX and CX are lost.
func (f vectorFunctions) each(prefix string, pointers []string, body func(rest bool)) {
	f.op("SUBQ", fmt.Sprint("$", f.floats), "CX")
	f.op("JLT", prefix+"rest")
	f.w.label(prefix + "loop")
	body(false)
	for _, p := range pointers {
		f.op("ADDQ", fmt.Sprint("$", f.bytes()), p)
	}
	f.op("SUBQ", fmt.Sprint("$", f.floats), "CX")
	f.op("JGE", prefix+"loop")
	f.w.label(prefix + "rest")
	f.op("ADDQ", fmt.Sprint("$", f.floats), "CX")
	f.op("JZ", prefix+"done")
	if f.register == "Z" {
		f.op("MOVL", "$1", "AX")
		f.op("SHLL", "CX", "AX")
		f.op("DECL", "AX")
		f.op("KMOVW", "AX", "K1")
	} else {
		f.op("LEAQ", "ones<>+32(SB)", "AX")
		f.op("SHLQ", "$2", "CX")
		f.op("SUBQ", "CX", "AX")
		f.op("VMOVUPS", "(AX)", mask)
	}
	body(true)
	f.w.label(prefix + "done")
}

func (f vectorFunctions) load(pointer string, to int, rest bool) {
	switch {
	case !rest:
		f.op("VMOVUPS", "("+pointer+")", to)
	case f.register == "Z":
		f.op("VMOVUPS.Z", "("+pointer+")", "K1", to)
	default:
		f.op("VMASKMOVPS", "("+pointer+")", mask, to)
	}
}

func (f vectorFunctions) store(from int, pointer string, rest bool) {
	switch {
	case !rest:
		f.op("VMOVUPS", from, "("+pointer+")")
	case f.register == "Z":
		f.op("VMOVUPS", from, "K1", "("+pointer+")")
	default:
		f.op("VMASKMOVPS", from, mask, "("+pointer+")")
	}
}

// clip makes what the mask leaves out 0.
func (f vectorFunctions) clip(r int, rest bool) {
	switch {
	case !rest:
	case f.register == "Z":
		f.op("VMOVAPS.Z", r, "K1", r)
	default:
		f.op("VANDPS", mask, r, r)
	}
}

// reduce combines the numbers of a register to one, and broadcasts it.
func (f vectorFunctions) reduce(op string, r, spare int) {
	if f.register == "Z" {
		f.op("VEXTRACTF64X4", "$1", r, fmt.Sprint("Y", spare))
		f.op(op, fmt.Sprint("Y", spare), fmt.Sprint("Y", r), fmt.Sprint("Y", r))
	}
	f.op("VEXTRACTF128", "$1", fmt.Sprint("Y", r), fmt.Sprint("X", spare))
	x, s := fmt.Sprint("X", r), fmt.Sprint("X", spare)
	f.op(op, s, x, x)
	f.op("VMOVHLPS", x, x, s)
	f.op(op, s, x, x)
	f.op("VMOVSHDUP", x, s)
	f.op(op, s, x, x)
	f.op("VBROADCASTSS", x, r)
}

// exp replaces x in r by exp(x), |x| <= 87: exp(x) = 2^n * exp(x - n ln 2), the second factor by its Taylor series. It
// loses registers a, b and c.
func (f vectorFunctions) exp(r, a, b, c int) {
	f.constant("log2e", a)
	f.op("VMULPS", r, a, a)
	f.op("VCVTPS2DQ", a, a)
	f.op("VCVTDQ2PS", a, b)
	for _, part := range []string{"ln2high", "ln2low"} {
		f.constant(part, c)
		f.op("VFNMADD231PS", c, b, r)
	}
	f.constant("inverse7", b)
	for _, k := range []int{6, 5, 4, 3, 2, 1, 1} {
		f.constant(fmt.Sprint("inverse", k), c)
		f.op("VFMADD213PS", c, r, b)
	}
	f.op("VPSLLD", "$23", a, a)
	f.op("VPADDD", a, b, r)
}

// atLeast and atMost bound r by a constant; NaN stays.
func (f vectorFunctions) atLeast(name string, r, spare int) {
	f.constant(name, spare)
	f.op("VMAXPS", r, spare, r)
}

func (f vectorFunctions) atMost(name string, r, spare int) {
	f.constant(name, spare)
	f.op("VMINPS", r, spare, r)
}

func (f vectorFunctions) binary(name, op string) {
	f.begin(name, "(dst, x *float32, n int)", 24, "dst", "x", "n")
	f.each("", []string{"DI", "SI"}, func(rest bool) {
		f.load("DI", 0, rest)
		f.load("SI", 1, rest)
		f.op(op, 1, 0, 0)
		f.store(0, "DI", rest)
	})
	f.end()
}

func (f vectorFunctions) scale() {
	f.begin("scale", "(x *float32, n int, by float32)", 20, "x", "n")
	f.op("VBROADCASTSS", "by+16(FP)", 1)
	f.inPlace(func() { f.op("VMULPS", 1, 0, 0) })
}

// inPlace ends a function that replaces the numbers in register 0.
func (f vectorFunctions) inPlace(body func()) {
	f.each("", []string{"DI"}, func(rest bool) {
		f.load("DI", 0, rest)
		body()
		f.store(0, "DI", rest)
	})
	f.end()
}

func (f vectorFunctions) relu() {
	f.begin("relu", "(x *float32, n int)", 16, "x", "n")
	f.zero(1)
	f.inPlace(func() { f.op("VMAXPS", 0, 1, 0) })
}

// gelu is max(x, 0) - |x|/2 * erfc(|x| / sqrt 2), with erfc by Abramowitz and Stegun 7.1.26: at most 1.5e-7 off.
func (f vectorFunctions) gelu() {
	f.begin("gelu", "(x *float32, n int)", 16, "x", "n")
	f.zero(10)
	f.constant("magnitude", 11)
	f.constant("one", 12)
	f.inPlace(func() {
		f.and(11, 0, 1)
		f.op("VMULPS", 1, 1, 2)
		f.constant("minusHalf", 3)
		f.op("VMULPS", 3, 2, 2)
		f.atLeast("least", 2, 3)
		f.constant("erfcP", 3)
		f.op("VFMADD213PS", 12, 1, 3)
		f.op("VDIVPS", 3, 12, 3) // t = 1 / (1 + p |x| / sqrt 2)
		f.constant("erfc5", 4)
		for k := 4; k >= 1; k-- {
			f.constant(fmt.Sprint("erfc", k), 5)
			f.op("VFMADD213PS", 5, 3, 4)
		}
		f.op("VMULPS", 3, 4, 4)
		f.op("VMULPS", 1, 4, 4)
		f.exp(2, 5, 6, 7)
		f.op("VMAXPS", 0, 10, 0)
		f.op("VFNMADD231PS", 2, 4, 0)
	})
}

// sigmoid replaces x in register 0 by x / (1 + exp(-z)), with z in register 1. x must be so large that the result is
// nearly 0 where z < -87.
func (f vectorFunctions) sigmoid() {
	f.zero(2)
	f.op("VSUBPS", 1, 2, 2)
	f.atLeast("least", 2, 3)
	f.atMost("most", 2, 3)
	f.exp(2, 5, 6, 7)
	f.op("VADDPS", 12, 2, 2)
	f.op("VDIVPS", 2, 0, 0)
}

func (f vectorFunctions) geluTanh() {
	f.begin("geluTanh", "(x *float32, n int)", 16, "x", "n")
	f.constant("one", 12)
	f.inPlace(func() {
		f.atLeast("geluLeast", 0, 1) // for less, the result is 0
		f.op("VMULPS", 0, 0, 1)
		f.constant("geluCube", 2)
		f.op("VFMADD213PS", 12, 2, 1)
		f.op("VMULPS", 0, 1, 1)
		f.constant("geluFactor", 2)
		f.op("VMULPS", 2, 1, 1)
		f.sigmoid()
	})
}

func (f vectorFunctions) silu() {
	f.begin("silu", "(x *float32, n int)", 16, "x", "n")
	f.constant("one", 12)
	f.inPlace(func() {
		f.atLeast("least", 0, 1)
		f.op("VMOVAPS", 0, 1)
		f.sigmoid()
	})
}

func (f vectorFunctions) softmax() {
	f.begin("softmax", "(x *float32, n int)", 16, "x", "n")
	f.op("MOVQ", "DI", "SI")
	f.op("MOVQ", "DI", "R8")
	f.op("MOVQ", "CX", "DX")
	f.constant("minusInfinity", 8)
	f.op("VMOVAPS", 8, 0)
	f.each("max", []string{"DI"}, func(rest bool) {
		switch {
		case !rest:
			f.load("DI", 1, false)
		case f.register == "Z":
			f.op("VMOVAPS", 8, 1)
			f.op("VMOVUPS", "(DI)", "K1", 1)
		default:
			f.load("DI", 1, true)
			f.op("VBLENDVPS", mask, 1, 8, 1)
		}
		f.op("VMAXPS", 1, 0, 0)
	})
	f.reduce("VMAXPS", 0, 1)
	f.zero(9)
	f.constant("least", 10)
	f.op("MOVQ", "DX", "CX")
	f.each("exp", []string{"SI"}, func(rest bool) {
		f.load("SI", 1, rest)
		f.op("VSUBPS", 0, 1, 1)
		const notLess = "$5" // true for NaN
		if f.register == "Z" {
			f.op("VCMPPS", notLess, 10, 1, "K2")
		} else {
			f.op("VCMPPS", notLess, 10, 1, 2)
		}
		f.op("VMAXPS", 1, 10, 1)
		f.exp(1, 5, 6, 7)
		if f.register == "Z" {
			f.op("VMOVAPS.Z", 1, "K2", 1)
		} else {
			f.op("VANDPS", 2, 1, 1)
		}
		f.clip(1, rest)
		f.op("VADDPS", 1, 9, 9)
		f.store(1, "SI", rest)
	})
	f.reduce("VADDPS", 9, 1)
	f.constant("one", 1)
	f.op("VDIVPS", 9, 1, 9)
	f.op("MOVQ", "DX", "CX")
	f.each("scale", []string{"R8"}, func(rest bool) {
		f.load("R8", 1, rest)
		f.op("VMULPS", 9, 1, 1)
		f.store(1, "R8", rest)
	})
	f.end()
}

func (f vectorFunctions) layerNorm() {
	f.begin("layerNorm", "(dst, x, residual, weight, bias *float32, n int, eps float32)", 52,
		"dst", "x", "residual", "weight", "bias", "n")
	f.op("MOVQ", "DI", "R11")
	f.op("MOVQ", "DI", "R12")
	f.op("MOVQ", "CX", "DX")
	f.count(10)
	f.zero(0)
	pass := func(name string, pointers []string, second bool) {
		f.each(name, pointers, func(rest bool) {
			f.load("SI", 1, rest)
			if second {
				f.load("R8", 2, rest)
				f.op("VADDPS", 2, 1, 1)
			}
			f.op("VADDPS", 1, 0, 0)
			f.store(1, "DI", rest)
		})
	}
	f.op("TESTQ", "R8", "R8")
	f.op("JZ", "alone")
	pass("sum", []string{"DI", "SI", "R8"}, true)
	f.op("JMP", "mean")
	f.w.label("alone")
	pass("copy", []string{"DI", "SI"}, false)
	f.w.label("mean")
	f.reduce("VADDPS", 0, 1)
	f.op("VDIVPS", 10, 0, 0)
	f.zero(3)
	f.op("MOVQ", "DX", "CX")
	f.each("square", []string{"R11"}, func(rest bool) {
		f.load("R11", 1, rest)
		f.op("VSUBPS", 0, 1, 1)
		f.clip(1, rest)
		f.op("VFMADD231PS", 1, 1, 3)
	})
	f.inverseRoot(3, "eps+48(FP)")
	f.op("MOVQ", "DX", "CX")
	last := func(name string, pointers []string, biased bool) {
		f.each(name, pointers, func(rest bool) {
			f.load("R12", 1, rest)
			f.op("VSUBPS", 0, 1, 1)
			f.op("VMULPS", 3, 1, 1)
			f.load("R9", 2, rest)
			if biased {
				f.load("R10", 4, rest)
				f.op("VFMADD213PS", 4, 2, 1)
			} else {
				f.op("VMULPS", 2, 1, 1)
			}
			f.store(1, "R12", rest)
		})
	}
	f.op("TESTQ", "R10", "R10")
	f.op("JZ", "unbiased")
	last("bias", []string{"R12", "R9", "R10"}, true)
	f.end()
	f.w.label("unbiased")
	last("weight", []string{"R12", "R9"}, false)
	f.end()
}

// count broadcasts CX as a float.
func (f vectorFunctions) count(to int) {
	x := fmt.Sprint("X", to)
	f.op("VXORPS", x, x, x)
	f.op("VCVTSI2SSQ", "CX", x, x)
	f.op("VBROADCASTSS", x, to)
}

// inverseRoot replaces the parts of a sum of squares in r by 1 / sqrt(sum / n + eps), with n in register 10.
func (f vectorFunctions) inverseRoot(r int, eps string) {
	f.reduce("VADDPS", r, 1)
	f.op("VDIVPS", 10, r, r)
	f.op("VBROADCASTSS", eps, 1)
	f.op("VADDPS", 1, r, r)
	f.op("VSQRTPS", r, r)
	f.constant("one", 1)
	f.op("VDIVPS", r, 1, r)
}

func (f vectorFunctions) rmsNorm() {
	f.begin("rmsNorm", "(dst, x, weight *float32, n int, eps float32)", 36, "dst", "x", "weight", "n")
	f.op("MOVQ", "SI", "R11")
	f.op("MOVQ", "CX", "DX")
	f.count(10)
	f.zero(3)
	f.each("square", []string{"R11"}, func(rest bool) {
		f.load("R11", 1, rest)
		f.op("VFMADD231PS", 1, 1, 3)
	})
	f.inverseRoot(3, "eps+32(FP)")
	f.op("MOVQ", "DX", "CX")
	f.each("weight", []string{"DI", "SI", "R8"}, func(rest bool) {
		f.load("SI", 1, rest)
		f.op("VMULPS", 3, 1, 1)
		f.load("R8", 2, rest)
		f.op("VMULPS", 2, 1, 1)
		f.store(1, "DI", rest)
	})
	f.end()
}

// dot sums four vectors at a time in chains of their own, which hides the latency of an addition.
func (f vectorFunctions) dot() {
	f.begin("dot", "(a, b *float32, n int) float32", 28, "a", "b", "n")
	for r := range 4 {
		f.zero(r)
	}
	f.op("SUBQ", fmt.Sprint("$", 4*f.floats), "CX")
	f.op("JLT", "few")
	f.w.label("four")
	for r := range 4 {
		f.op("VMOVUPS", fmt.Sprintf("%d(DI)", r*f.bytes()), 4)
		f.op("VFMADD231PS", fmt.Sprintf("%d(SI)", r*f.bytes()), 4, r)
	}
	f.op("ADDQ", fmt.Sprint("$", 4*f.bytes()), "DI")
	f.op("ADDQ", fmt.Sprint("$", 4*f.bytes()), "SI")
	f.op("SUBQ", fmt.Sprint("$", 4*f.floats), "CX")
	f.op("JGE", "four")
	f.w.label("few")
	f.op("ADDQ", fmt.Sprint("$", 4*f.floats), "CX")
	f.each("", []string{"DI", "SI"}, func(rest bool) {
		f.load("DI", 4, rest)
		f.load("SI", 5, rest)
		f.op("VFMADD231PS", 5, 4, 0)
	})
	f.op("VADDPS", 1, 0, 0)
	f.op("VADDPS", 3, 2, 2)
	f.op("VADDPS", 2, 0, 0)
	f.reduce("VADDPS", 0, 1)
	f.op("VMOVSS", "X0", "ret+24(FP)")
	f.end()
}

// firstAbove compares whole vectors: n is a multiple of their width.
func (f vectorFunctions) firstAbove() {
	f.begin("firstAbove", "(x, bound *float32, n int) int", 32, "x", "bound", "n")
	f.op("XORQ", "DX", "DX")
	f.w.label("loop")
	f.op("CMPQ", "DX", "CX")
	f.op("JGE", "done")
	f.op("VMOVUPS", "(DI)(DX*4)", 0)
	const greater = "$30" // false for NaN
	if f.register == "Z" {
		f.op("VCMPPS", greater, "(SI)(DX*4)", 0, "K1")
		f.op("KMOVW", "K1", "AX")
	} else {
		f.op("VCMPPS", greater, "(SI)(DX*4)", 0, 0)
		f.op("VMOVMSKPS", 0, "AX")
	}
	f.op("TESTL", "AX", "AX")
	f.op("JNZ", "found")
	f.op("ADDQ", fmt.Sprint("$", f.floats), "DX")
	f.op("JMP", "loop")
	f.w.label("found")
	f.op("BSFL", "AX", "AX")
	f.op("ADDQ", "AX", "DX")
	f.w.label("done")
	f.op("MOVQ", "DX", "ret+24(FP)")
	f.end()
}

// constants writes the numbers that the functions name.
func constants(w *writer) {
	const ln2High = 0.693359375 // few bits, so that its products with whole numbers are exact
	numbers := []struct {
		name  string
		value float64
	}{
		{"one", 1},
		{"minusHalf", -0.5},
		{"minusInfinity", math.Inf(-1)},
		{"least", -87},
		{"most", 87},
		{"log2e", math.Log2E},
		{"ln2high", ln2High},
		{"ln2low", math.Ln2 - ln2High},
		{"erfcP", 0.3275911 / math.Sqrt2},
		{"geluLeast", -30},
		{"geluCube", 0.044715},
		{"geluFactor", 2 * math.Sqrt(2/math.Pi)},
	}
	factorial := 1.0
	for k := 1; k <= 7; k++ {
		factorial *= float64(k)
		numbers = append(numbers, struct {
			name  string
			value float64
		}{fmt.Sprint("inverse", k), 1 / factorial})
	}
	for i, a := range []float64{0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429} {
		numbers = append(numbers, struct {
			name  string
			value float64
		}{fmt.Sprint("erfc", i+1), a / 2})
	}
	w.line("")
	for _, n := range numbers {
		bits32(w, n.name, math.Float32bits(float32(n.value)))
	}
	bits32(w, "magnitude", 0x7fffffff)
	for i := range 16 {
		w.line("DATA ones<>+%d(SB)/4, $%d", 4*i, map[bool]int{true: -1, false: 0}[i < 8])
	}
	w.line("GLOBL ones<>(SB), RODATA|NOPTR, $64")
}

func bits32(w *writer, name string, bits uint32) {
	w.line("DATA %s<>(SB)/4, $%#08x\nGLOBL %s<>(SB), RODATA|NOPTR, $4", name, bits, name)
}
