#include "textflag.h"

// A tile is the product of two rows of weights (registers Y8 to Y11 hold 32 values of both) with four rows of input. Y0 to
// Y3 sum up the first row's four products, Y4 to Y7 the second's, in eight parts each.

// ADD scales the sum of a group's integers in Y14 and adds it to acc.
#define ADD(scale, acc) \
	VCVTDQ2PS   Y14, Y14 \
	VFMADD231PS Y14, scale, acc

// BOTH multiplies 32 values of an input by those of both rows, whose scales Y12 and Y13 are for all 32.
#define BOTH(at, acc0, acc1) \
	VPMADDWD at(R9), Y8, Y14      \
	VPMADDWD at+32(R9), Y9, Y15   \
	VPADDD   Y15, Y14, Y14        \
	ADD(Y12, acc0)                \
	VPMADDWD at(R9), Y10, Y14     \
	VPMADDWD at+32(R9), Y11, Y15  \
	VPADDD   Y15, Y14, Y14        \
	ADD(Y13, acc1)

// HALF multiplies 16 values of an input by those of both rows.
#define HALF(at, row0, row1, acc0, acc1) \
	VPMADDWD at(R9), row0, Y14 \
	ADD(Y12, acc0)             \
	VPMADDWD at(R9), row1, Y14 \
	ADD(Y13, acc1)

// SCALED adds the sum of a chunk, times the scale of its input, to the sum of the chunks before, and clears it.
#define SCALED(input, at, acc) \
	VBROADCASTSS input(R10), Y12          \
	VMOVUPS      at(SP), Y13              \
	VFMADD231PS  acc, Y12, Y13            \
	VMOVUPS      Y13, at(SP)              \
	VXORPS       acc, acc, acc

// FOUR adds up the eight parts of four sums.
#define FOUR(at, out) \
	VMOVUPS      at(SP), Y0         \
	VMOVUPS      at+64(SP), Y1      \
	VHADDPS      at+32(SP), Y0, Y0  \
	VHADDPS      at+96(SP), Y1, Y1  \
	VHADDPS      Y1, Y0, Y0         \
	VEXTRACTF128 $1, Y0, X1         \
	VADDPS       X1, X0, out

// func tileAVX2(t *tile)
//
// SI: weights, DI: their scales, R9: inputs, R10: their scales, R11, R12: least and sums, CX: strips left, DX: strips left
// of the chunk, BX: all strips.
TEXT ·tileAVX2(SB), NOSPLIT, $256-8
	MOVQ   t+0(FP), AX
	MOVQ   0(AX), SI
	MOVQ   8(AX), R9
	MOVQ   16(AX), DI
	MOVQ   24(AX), R10
	MOVQ   32(AX), R11
	MOVQ   40(AX), R12
	MOVQ   48(AX), CX
	MOVQ   56(AX), R13
	MOVQ   CX, BX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VMOVUPS Y0, 0(SP)
	VMOVUPS Y0, 32(SP)
	VMOVUPS Y0, 64(SP)
	VMOVUPS Y0, 96(SP)
	VMOVUPS Y0, 128(SP)
	VMOVUPS Y0, 160(SP)
	VMOVUPS Y0, 192(SP)
	VMOVUPS Y0, 224(SP)

chunk:
	MOVQ $8, DX
	CMPQ CX, DX
	CMOVQLT CX, DX
	SUBQ DX, CX

strip:
	VMOVDQU      (SI), Y8
	VMOVDQU      32(SI), Y9
	VMOVDQU      64(SI), Y10
	VMOVDQU      96(SI), Y11
	VBROADCASTSS (DI), Y12
	VBROADCASTSS 4(DI), Y13
	TESTQ        R13, R13
	JNZ          fine
	BOTH(0, Y0, Y4)
	BOTH(64, Y1, Y5)
	BOTH(128, Y2, Y6)
	BOTH(192, Y3, Y7)
	JMP          next

fine:
	HALF(0, Y8, Y10, Y0, Y4)
	HALF(64, Y8, Y10, Y1, Y5)
	HALF(128, Y8, Y10, Y2, Y6)
	HALF(192, Y8, Y10, Y3, Y7)
	VBROADCASTSS 8(DI), Y12
	VBROADCASTSS 12(DI), Y13
	HALF(32, Y9, Y11, Y0, Y4)
	HALF(96, Y9, Y11, Y1, Y5)
	HALF(160, Y9, Y11, Y2, Y6)
	HALF(224, Y9, Y11, Y3, Y7)

next:
	ADDQ $128, SI
	ADDQ $256, R9
	ADDQ $16, DI
	DECQ DX
	JNZ  strip

	SCALED(0, 0, Y0)
	SCALED(4, 32, Y1)
	SCALED(8, 64, Y2)
	SCALED(12, 96, Y3)
	SCALED(0, 128, Y4)
	SCALED(4, 160, Y5)
	SCALED(8, 192, Y6)
	SCALED(12, 224, Y7)
	ADDQ  $16, R10
	TESTQ CX, CX
	JNZ   chunk

	FOUR(0, X4)
	FOUR(128, X5)
	TESTQ R11, R11
	JZ    done
	VXORPS X6, X6, X6
	VXORPS X7, X7, X7

least:
	VMOVUPS      (R12), X0
	VBROADCASTSS (R11), X1
	VBROADCASTSS 4(R11), X2
	VFMADD231PS  X0, X1, X4
	VFMADD231PS  X0, X2, X5
	VMOVUPS      16(R12), X0
	VBROADCASTSS 8(R11), X1
	VBROADCASTSS 12(R11), X2
	VFMADD231PS  X0, X1, X6
	VFMADD231PS  X0, X2, X7
	ADDQ         $32, R12
	ADDQ         $16, R11
	DECQ         BX
	JNZ          least
	VADDPS       X6, X4, X4
	VADDPS       X7, X5, X5

done:
	VMOVUPS X4, 64(AX)
	VMOVUPS X5, 80(AX)
	VZEROUPPER
	RET

// ROUND rounds 16 values to dst, and their sum, times the scale in X1, to sums.
#define ROUND(from, to, sum) \
	VMULPS       from(SI), Y0, Y2    \
	VMULPS       from+32(SI), Y0, Y3 \
	VCVTPS2DQ    Y2, Y2              \
	VCVTPS2DQ    Y3, Y3              \
	VPACKSSDW    Y3, Y2, Y2          \
	VPERMQ       $0xd8, Y2, Y2       \
	VMOVDQU      Y2, to(DI)          \
	VPMADDWD     Y6, Y2, Y2          \
	VEXTRACTI128 $1, Y2, X3          \
	VPADDD       X3, X2, X2          \
	VPHADDD      X2, X2, X2          \
	VPHADDD      X2, X2, X2          \
	VCVTDQ2PS    X2, X2              \
	VMULSS       X1, X2, X2          \
	VMOVSS       X2, sum(R8)

// func roundAVX2(dst *int16, scale, sums *float32, src *float32, strips int)
//
// The largest magnitude is found among the bits, as integers: NaN is larger than infinity, and that than any number, so
// neither is lost.
TEXT ·roundAVX2(SB), NOSPLIT, $0-40
	MOVQ     dst+0(FP), DI
	MOVQ     scale+8(FP), R9
	MOVQ     sums+16(FP), R8
	MOVQ     src+24(FP), SI
	MOVQ     strips+32(FP), CX
	VPCMPEQD Y7, Y7, Y7
	VPSRLD   $1, Y7, Y7         // all bits but the sign
	VPXOR    Y0, Y0, Y0
	MOVQ     SI, AX
	MOVQ     CX, DX

largest:
	VPAND   (AX), Y7, Y1
	VPAND   32(AX), Y7, Y2
	VPAND   64(AX), Y7, Y3
	VPAND   96(AX), Y7, Y4
	VPMAXSD Y1, Y2, Y1
	VPMAXSD Y3, Y4, Y3
	VPMAXSD Y1, Y0, Y0
	VPMAXSD Y3, Y0, Y0
	ADDQ    $128, AX
	DECQ    DX
	JNZ     largest

	VEXTRACTI128 $1, Y0, X1
	VPMAXSD      X1, X0, X0
	VPSHUFD      $0x4e, X0, X1
	VPMAXSD      X1, X0, X0
	VPSHUFD      $0xb1, X0, X1
	VPMAXSD      X1, X0, X0
	MOVL         $0x46fffe00, AX // 32767
	VMOVD        AX, X2
	VDIVSS       X2, X0, X1      // the scale
	VMOVSS       X1, (R9)
	VDIVSS       X0, X2, X0
	VBROADCASTSS X0, Y0          // infinite for zeros, whose integers do not matter then
	VPCMPEQW     Y6, Y6, Y6
	VPSRLW       $15, Y6, Y6     // ones

round:
	ROUND(0, 0, 0)
	ROUND(64, 32, 16)
	ADDQ $128, SI
	ADDQ $256, DI
	ADDQ $32, R8
	DECQ CX
	JNZ  round
	VZEROUPPER
	RET

// func widenAVX2(dst *int16, scales, least *float32, c *chunk, strips int)
TEXT ·widenAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ scales+8(FP), R8
	MOVQ least+16(FP), R9
	MOVQ c+24(FP), SI
	MOVQ strips+32(FP), CX
	LEAQ 256(SI), DX      // the groups

widen:
	VPMOVSXBW (SI), Y0
	VPMOVSXBW 16(SI), Y1
	VMOVDQU   Y0, (DI)
	VMOVDQU   Y1, 32(DI)
	MOVL      (DX), R10
	MOVL      4(DX), R11
	MOVL      8(DX), R12
	MOVL      12(DX), R13
	MOVL      R10, (R8)
	MOVL      R11, (R9)
	MOVL      R12, 8(R8)
	MOVL      R13, 8(R9)
	ADDQ      $32, SI
	ADDQ      $128, DI
	ADDQ      $16, DX
	ADDQ      $16, R8
	ADDQ      $16, R9
	DECQ      CX
	JNZ       widen
	VZEROUPPER
	RET
