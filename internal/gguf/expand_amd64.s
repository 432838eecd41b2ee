#include "textflag.h"

// func expandAVX2(dst *float32, c *chunk, groups int)
//
// SI: the values, DX: their groups, DI: dst.
TEXT ·expandAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ c+8(FP), SI
	LEAQ 256(SI), DX
	MOVQ groups+16(FP), CX

group:
	VBROADCASTSS (DX), Y0
	VBROADCASTSS 4(DX), Y1
	VPMOVSXBD    (SI), Y2
	VPMOVSXBD    8(SI), Y3
	VCVTDQ2PS    Y2, Y2
	VCVTDQ2PS    Y3, Y3
	VMULPS       Y0, Y2, Y2
	VMULPS       Y0, Y3, Y3
	VADDPS       Y1, Y2, Y2
	VADDPS       Y1, Y3, Y3
	VMOVUPS      Y2, (DI)
	VMOVUPS      Y3, 32(DI)
	ADDQ         $16, SI
	ADDQ         $8, DX
	ADDQ         $64, DI
	DECQ         CX
	JNZ          group
	VZEROUPPER
	RET
