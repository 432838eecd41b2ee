#include "textflag.h"

// A tile is the product of 16 rows of weights with four rows of input. Two values each of eight rows are in Y8, of the
// other eight in Y9. The sums of integers with input i are in Y(2i) and Y(2i+1), one lane a row.

// LOADS loads values 2p and 2p+1 of all rows.
#define LOADS(p) \
	VMOVDQU      p*64(SI), Y8      \
	VMOVDQU      p*64+32(SI), Y9   \
	VPBROADCASTD p*4(R9), Y10      \
	VPBROADCASTD p*4+64(R9), Y11   \
	VPBROADCASTD p*4+128(R9), Y12  \
	VPBROADCASTD p*4+192(R9), Y13

// FIRST begins the sums of a group.
#define FIRST(p) \
	LOADS(p)                \
	VPMADDWD Y8, Y10, Y0    \
	VPMADDWD Y9, Y10, Y1    \
	VPMADDWD Y8, Y11, Y2    \
	VPMADDWD Y9, Y11, Y3    \
	VPMADDWD Y8, Y12, Y4    \
	VPMADDWD Y9, Y12, Y5    \
	VPMADDWD Y8, Y13, Y6    \
	VPMADDWD Y9, Y13, Y7

// PAIR adds two more values to the sums.
#define PAIR(p) \
	LOADS(p)                \
	VPMADDWD Y8, Y10, Y14   \
	VPMADDWD Y9, Y10, Y10   \
	VPADDD   Y14, Y0, Y0    \
	VPADDD   Y10, Y1, Y1    \
	VPMADDWD Y8, Y11, Y15   \
	VPMADDWD Y9, Y11, Y11   \
	VPADDD   Y15, Y2, Y2    \
	VPADDD   Y11, Y3, Y3    \
	VPMADDWD Y8, Y12, Y14   \
	VPMADDWD Y9, Y12, Y12   \
	VPADDD   Y14, Y4, Y4    \
	VPADDD   Y12, Y5, Y5    \
	VPMADDWD Y8, Y13, Y15   \
	VPMADDWD Y9, Y13, Y13   \
	VPADDD   Y15, Y6, Y6    \
	VPADDD   Y13, Y7, Y7

#define SEVEN(p) \
	PAIR(p)     \
	PAIR((p+1)) \
	PAIR((p+2)) \
	PAIR((p+3)) \
	PAIR((p+4)) \
	PAIR((p+5)) \
	PAIR((p+6))

// SCALE adds a sum of integers, times the scales of its rows, to the sum of its chunk.
#define SCALE(acc, scales, at) \
	VCVTDQ2PS   acc, acc             \
	VFMADD213PS at(SP), scales, acc  \
	VMOVUPS     acc, at(SP)

// GROUP scales the sums of a group.
#define GROUP(at) \
	VMOVUPS at(DI), Y8      \
	VMOVUPS at+32(DI), Y9   \
	SCALE(Y0, Y8, 0)        \
	SCALE(Y1, Y9, 32)       \
	SCALE(Y2, Y8, 64)       \
	SCALE(Y3, Y9, 96)       \
	SCALE(Y4, Y8, 128)      \
	SCALE(Y5, Y9, 160)      \
	SCALE(Y6, Y8, 192)      \
	SCALE(Y7, Y9, 224)

// SCALED adds the two sums of a chunk, times the scale of their input, to those of the chunks before, and clears them.
#define SCALED(input, at) \
	VBROADCASTSS input(R10), Y12        \
	VMOVUPS      at(SP), Y8             \
	VMOVUPS      at+32(SP), Y9          \
	VFMADD213PS  at+256(SP), Y12, Y8    \
	VFMADD213PS  at+288(SP), Y12, Y9    \
	VMOVUPS      Y8, at+256(SP)         \
	VMOVUPS      Y9, at+288(SP)         \
	VMOVUPS      Y15, at(SP)            \
	VMOVUPS      Y15, at+32(SP)

// STORE adds two sums to the products of an input.
#define STORE(acc0, acc1) \
	VADDPS  (R8), acc0, acc0   \
	VADDPS  32(R8), acc1, acc1 \
	VMOVUPS acc0, (R8)         \
	VMOVUPS acc1, 32(R8)       \
	ADDQ    BX, R8

#define CLEAR(at) \
	VMOVUPS Y15, at(SP)     \
	VMOVUPS Y15, at+32(SP)  \
	VMOVUPS Y15, at+64(SP)  \
	VMOVUPS Y15, at+96(SP)

// func tileAVX2(t *tile)
//
// SI: weights, DI: their scales, R9: inputs, R10: their scales, R11, R12: least and sums, CX: strips left, DX: strips left
// of the chunk, AX: all strips, R8: dst, BX: its stride. The sums of a chunk are at 0(SP), the sums of all chunks at
// 256(SP).
TEXT ·tileAVX2(SB), NOSPLIT, $512-8
	MOVQ   t+0(FP), AX
	MOVQ   0(AX), SI
	MOVQ   8(AX), R9
	MOVQ   16(AX), DI
	MOVQ   24(AX), R10
	MOVQ   32(AX), R11
	MOVQ   40(AX), R12
	MOVQ   48(AX), CX
	MOVQ   56(AX), R13
	MOVQ   64(AX), R8
	MOVQ   72(AX), BX
	MOVQ   CX, AX
	VXORPS Y15, Y15, Y15
	CLEAR(0)
	CLEAR(128)
	CLEAR(256)
	CLEAR(384)

chunk:
	MOVQ $8, DX
	CMPQ CX, DX
	CMOVQLT CX, DX
	SUBQ DX, CX

strip:
	FIRST(0)
	SEVEN(1)
	TESTQ R13, R13
	JNZ   fine
	PAIR(8)
	SEVEN(9)
	GROUP(0)
	JMP   next

fine:
	GROUP(0)
	FIRST(8)
	SEVEN(9)
	GROUP(64)

next:
	ADDQ $1024, SI
	ADDQ $256, R9
	ADDQ $128, DI
	DECQ DX
	JNZ  strip

	VXORPS Y15, Y15, Y15
	SCALED(0, 0)
	SCALED(4, 64)
	SCALED(8, 128)
	SCALED(12, 192)
	ADDQ  $16, R10
	TESTQ CX, CX
	JNZ   chunk

	VMOVUPS 256(SP), Y0
	VMOVUPS 288(SP), Y1
	VMOVUPS 320(SP), Y2
	VMOVUPS 352(SP), Y3
	VMOVUPS 384(SP), Y4
	VMOVUPS 416(SP), Y5
	VMOVUPS 448(SP), Y6
	VMOVUPS 480(SP), Y7
	TESTQ R11, R11
	JZ    done
	ADDQ  AX, AX // groups

least:
	VMOVUPS      (R11), Y8
	VMOVUPS      32(R11), Y9
	VBROADCASTSS (R12), Y10
	VBROADCASTSS 4(R12), Y11
	VBROADCASTSS 8(R12), Y12
	VBROADCASTSS 12(R12), Y13
	VFMADD231PS  Y8, Y10, Y0
	VFMADD231PS  Y9, Y10, Y1
	VFMADD231PS  Y8, Y11, Y2
	VFMADD231PS  Y9, Y11, Y3
	VFMADD231PS  Y8, Y12, Y4
	VFMADD231PS  Y9, Y12, Y5
	VFMADD231PS  Y8, Y13, Y6
	VFMADD231PS  Y9, Y13, Y7
	ADDQ         $64, R11
	ADDQ         $16, R12
	DECQ         AX
	JNZ          least

done:
	STORE(Y0, Y1)
	STORE(Y2, Y3)
	STORE(Y4, Y5)
	STORE(Y6, Y7)
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

// func interleaveAVX2(dst *int16, src *byte, columns int)
//
// A pair of values is 32 bits, of which a matrix of 8 x 8 is transposed.
TEXT ·interleaveAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ columns+16(FP), CX
	LEAQ (CX)(CX*2), R8 // three rows
	LEAQ (SI)(CX*4), R9 // the fifth row
	MOVQ CX, DX
	SHRQ $4, DX

sixteen:
	VPMOVSXBW  (SI), Y0
	VPMOVSXBW  (SI)(CX*1), Y1
	VPMOVSXBW  (SI)(CX*2), Y2
	VPMOVSXBW  (SI)(R8*1), Y3
	VPMOVSXBW  (R9), Y4
	VPMOVSXBW  (R9)(CX*1), Y5
	VPMOVSXBW  (R9)(CX*2), Y6
	VPMOVSXBW  (R9)(R8*1), Y7
	VPUNPCKLDQ Y1, Y0, Y8
	VPUNPCKHDQ Y1, Y0, Y9
	VPUNPCKLDQ Y3, Y2, Y10
	VPUNPCKHDQ Y3, Y2, Y11
	VPUNPCKLDQ Y5, Y4, Y12
	VPUNPCKHDQ Y5, Y4, Y13
	VPUNPCKLDQ Y7, Y6, Y14
	VPUNPCKHDQ Y7, Y6, Y15
	VPUNPCKLQDQ Y10, Y8, Y0
	VPUNPCKHQDQ Y10, Y8, Y1
	VPUNPCKLQDQ Y11, Y9, Y2
	VPUNPCKHQDQ Y11, Y9, Y3
	VPUNPCKLQDQ Y14, Y12, Y4
	VPUNPCKHQDQ Y14, Y12, Y5
	VPUNPCKLQDQ Y15, Y13, Y6
	VPUNPCKHQDQ Y15, Y13, Y7
	VPERM2I128 $0x20, Y4, Y0, Y8
	VPERM2I128 $0x20, Y5, Y1, Y9
	VPERM2I128 $0x20, Y6, Y2, Y10
	VPERM2I128 $0x20, Y7, Y3, Y11
	VPERM2I128 $0x31, Y4, Y0, Y12
	VPERM2I128 $0x31, Y5, Y1, Y13
	VPERM2I128 $0x31, Y6, Y2, Y14
	VPERM2I128 $0x31, Y7, Y3, Y15
	VMOVDQU    Y8, (DI)
	VMOVDQU    Y9, 64(DI)
	VMOVDQU    Y10, 128(DI)
	VMOVDQU    Y11, 192(DI)
	VMOVDQU    Y12, 256(DI)
	VMOVDQU    Y13, 320(DI)
	VMOVDQU    Y14, 384(DI)
	VMOVDQU    Y15, 448(DI)
	ADDQ       $16, SI
	ADDQ       $16, R9
	ADDQ       $512, DI
	DECQ       DX
	JNZ        sixteen
	VZEROUPPER
	RET
