#include "textflag.h"

// The functions below unpack so many blocks to q, at least one. See blocks.go for the formats. Those for blocks of 32
// values write their groups' scales and least, too, into the row's lane of a strip.

DATA fifth<>+0(SB)/8, $0x0000000000000000
DATA fifth<>+8(SB)/8, $0x0101010101010101
DATA fifth<>+16(SB)/8, $0x0202020202020202
DATA fifth<>+24(SB)/8, $0x0303030303030303
DATA fifth<>+32(SB)/8, $0x8040201008040201
GLOBL fifth<>(SB), RODATA|NOPTR, $40

// NIBBLES puts the halves of the 16 bytes at from(SI) into Y0, low ones first.
#define NIBBLES(from) \
	VMOVDQU     from(SI), X0      \
	VPSRLW      $4, X0, X1        \
	VINSERTI128 $1, X1, Y0, Y0    \
	VPAND       Y7, Y0, Y0

// FIFTH puts 16 into the bytes of Y1 whose bit of the 32 at from(SI) is 1, and 0 into the others.
#define FIFTH(from) \
	VPBROADCASTD from(SI), Y1     \
	VPSHUFB      Y5, Y1, Y1       \
	VPAND        Y4, Y1, Y1       \
	VPCMPEQB     Y4, Y1, Y1       \
	VPAND        Y6, Y1, Y1

#define LOAD \
	MOVQ q+0(FP), DI     \
	MOVQ data+8(FP), SI  \
	MOVQ blocks+16(FP), CX

#define LOADSTRIP \
	MOVQ   q+0(FP), DI          \
	MOVQ   scales+8(FP), R8     \
	MOVQ   least+16(FP), R9     \
	MOVQ   data+24(FP), SI      \
	MOVQ   blocks+32(FP), CX    \
	VXORPS X3, X3, X3

// HALF puts the 16-bit number at from(SI) into x.
#define HALF(from, x) \
	MOVWLZX   from(SI), AX  \
	VMOVD     AX, x         \
	VCVTPH2PS x, x

// NEXTSTRIP stores 32 values, the scale in X2 and the least in X3 for both of their groups.
#define NEXTSTRIP(bytes, loop) \
	HALF(0, X2)            \
	VMOVSS  X2, (R8)       \
	VMOVSS  X2, 64(R8)     \
	VMOVSS  X3, (R9)       \
	VMOVSS  X3, 64(R9)     \
	ADDQ    $128, R8       \
	ADDQ    $128, R9       \
	VMOVDQU Y0, (DI)       \
	ADDQ    $bytes, SI     \
	ADDQ    $32, DI        \
	DECQ    CX             \
	JNZ     loop           \
	VZEROUPPER             \
	RET

// BYTES fills a register with a byte.
#define BYTES(b, x, y) \
	MOVL         $b, AX \
	VMOVD        AX, x  \
	VPBROADCASTB x, y

// func stripQ8_0AVX2(q *byte, scales, least *float32, data *byte, blocks int)
TEXT ·stripQ8_0AVX2(SB), NOSPLIT, $0-40
	LOADSTRIP

loop:
	VMOVDQU 2(SI), Y0
	NEXTSTRIP(34, loop)

// func stripQ4_0AVX2(q *byte, scales, least *float32, data *byte, blocks int)
TEXT ·stripQ4_0AVX2(SB), NOSPLIT, $0-40
	LOADSTRIP
	BYTES(15, X7, Y7)
	BYTES(8, X6, Y6)

loop:
	NIBBLES(2)
	VPSUBB Y6, Y0, Y0
	NEXTSTRIP(18, loop)

// func stripQ4_1AVX2(q *byte, scales, least *float32, data *byte, blocks int)
TEXT ·stripQ4_1AVX2(SB), NOSPLIT, $0-40
	LOADSTRIP
	BYTES(15, X7, Y7)

loop:
	NIBBLES(4)
	HALF(2, X3)
	NEXTSTRIP(20, loop)

// func stripQ5_0AVX2(q *byte, scales, least *float32, data *byte, blocks int)
TEXT ·stripQ5_0AVX2(SB), NOSPLIT, $0-40
	LOADSTRIP
	BYTES(15, X7, Y7)
	BYTES(16, X6, Y6)
	VMOVDQU      fifth<>+0(SB), Y5
	VPBROADCASTQ fifth<>+32(SB), Y4

loop:
	NIBBLES(6)
	FIFTH(2)
	VPOR   Y1, Y0, Y0
	VPSUBB Y6, Y0, Y0
	NEXTSTRIP(22, loop)

// func bytesQ4_KAVX2(q, data *byte, blocks int)
//
// A block has 256 values.
TEXT ·bytesQ4_KAVX2(SB), NOSPLIT, $0-24
	LOAD
	BYTES(15, X7, Y7)

block:
	ADDQ $16, SI
	MOVQ $4, DX

sixtyFour:
	VMOVDQU (SI), Y0
	VPSRLW  $4, Y0, Y1
	VPAND   Y7, Y0, Y0
	VPAND   Y7, Y1, Y1
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	ADDQ    $32, SI
	ADDQ    $64, DI
	DECQ    DX
	JNZ     sixtyFour
	DECQ    CX
	JNZ     block
	VZEROUPPER
	RET

// TWO puts values of 32 bytes of low halves in Y0 and two high bits each in Y1 together, less 32, at to(DI).
#define TWO(to) \
	VPAND   Y7, Y0, Y0  \
	VPAND   Y6, Y1, Y1  \
	VPOR    Y1, Y0, Y0  \
	VPSUBB  Y5, Y0, Y0  \
	VMOVDQU Y0, to(DI)

// func bytesQ6_KAVX2(q, data *byte, blocks int)
//
// A block has 256 values, of which each half has its bits in 64 and 32 bytes of its own.
TEXT ·bytesQ6_KAVX2(SB), NOSPLIT, $0-24
	LOAD
	BYTES(15, X7, Y7)
	BYTES(48, X6, Y6)
	BYTES(32, X5, Y5)

block:
	LEAQ 128(SI), R8 // the high bits
	MOVQ $2, DX

half:
	VMOVDQU (R8), Y2
	VMOVDQU (SI), Y0
	VPSLLW  $4, Y2, Y1
	TWO(0)
	VMOVDQU 32(SI), Y0
	VPSLLW  $2, Y2, Y1
	TWO(32)
	VMOVDQU (SI), Y0
	VPSRLW  $4, Y0, Y0
	VMOVDQA Y2, Y1
	TWO(64)
	VMOVDQU 32(SI), Y0
	VPSRLW  $4, Y0, Y0
	VPSRLW  $2, Y2, Y1
	TWO(96)
	ADDQ    $64, SI
	ADDQ    $32, R8
	ADDQ    $128, DI
	DECQ    DX
	JNZ     half
	ADDQ    $82, SI  // 128 bytes are behind
	DECQ    CX
	JNZ     block
	VZEROUPPER
	RET
