//go:build libtorch

package raw

// The weak declarations are of functions that gotch's libtch compiles but has no leak-free Go name for: its AtgGelu
// never frees the copy it makes of a string, and it leaves the threads out.

/*
#include <stdint.h>
#include <stdlib.h>

extern int at_get_num_threads(void) __attribute__((weak));
extern void at_set_num_threads(int) __attribute__((weak));
extern void atg_gelu(void **, void *, char *, int) __attribute__((weak));

static int num_threads(void) { return at_get_num_threads(); }
static void set_num_threads(int n) { at_set_num_threads(n); }
static void gelu(void **out, void *self, int tanh) { atg_gelu(out, self, tanh ? "tanh" : "none", 4); }
*/
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Available says whether the program was built with LibTorch.
const Available = true

// LastError returns and clears the message of the last exception on this thread, "" where there was none.
func LastError() string {
	p := unsafe.Pointer(lib.GetAndResetLastErr())
	if p == nil {
		return ""
	}
	defer C.free(p)
	return C.GoString((*C.char)(p))
}

func NumThreads() int     { return int(C.num_threads()) }
func SetNumThreads(n int) { C.set_num_threads(C.int(n)) }
func CUDADevices() int    { return int(lib.AtcCudaDeviceCount()) }

// SetGrad switches the recording of gradients on this thread and returns the old value.
func SetGrad(on bool) bool { return int32(lib.AtGradSetEnabled(flagInt(on))) != 0 }

func Free(t Tensor) { lib.AtFree(lib.Ctensor(t)) }

// FromData copies host memory into a tensor on the CPU.
func FromData(data unsafe.Pointer, shape []int64, elementSize uint, dtype int) Tensor {
	return Tensor(lib.AtTensorOfData(data, dims(shape), uint(len(shape)), elementSize, dtype))
}

// CopyTo copies n elements to host memory.
func CopyTo(t Tensor, data unsafe.Pointer, n, elementSize uint) {
	lib.AtCopyData(lib.Ctensor(t), data, n, elementSize)
}

// Memory returns the address of a tensor's first element.
func Memory(t Tensor) unsafe.Pointer { return lib.AtDataPtr(lib.Ctensor(t)) }

// Shape returns the sizes of the dimensions.
func Shape(t Tensor) []int64 {
	shape := make([]int64, int(lib.AtDim(lib.Ctensor(t)))+1) // + 1, so that &shape[0] exists for a scalar
	lib.AtShape(lib.Ctensor(t), unsafe.Pointer(&shape[0]))
	return shape[:len(shape)-1]
}

func Defined(t Tensor) bool { return lib.AtDefined(lib.Ctensor(t)) }

func Backward(t Tensor) { lib.AtBackward(lib.Ctensor(t), 0, 0) }

func Copy(dst, src Tensor) { lib.AtCopy_(lib.Ctensor(dst), lib.Ctensor(src)) }

func Zeros(shape []int64, dtype, device int) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgZeros(p, dims(shape), len(shape), int32(dtype), int32(device)) })
}

func SetRequiresGrad(t Tensor, on bool) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgSetRequiresGrad(p, lib.Ctensor(t), int32(flagInt(on))) })
}

func Grad(t Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgGrad(p, lib.Ctensor(t)) })
}

func ToDevice(t Tensor, device int) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgTo(p, lib.Ctensor(t), int32(device)) })
}

func ToType(t Tensor, dtype int) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgToDtype(p, lib.Ctensor(t), int32(dtype), 0, 0) })
}

// Embedding has a sparse gradient with sparse.
func Embedding(weight, indices Tensor, sparse bool) Tensor {
	return out(func(p *lib.Ctensor) {
		lib.AtgEmbedding(p, lib.Ctensor(weight), lib.Ctensor(indices), -1, 0, int32(flagInt(sparse)))
	})
}

func LayerNorm(x Tensor, shape []int64, weight, bias Tensor, eps float64) Tensor {
	return out(func(p *lib.Ctensor) {
		lib.AtgLayerNorm(p, lib.Ctensor(x), shape, len(shape), lib.Ctensor(weight), lib.Ctensor(bias), eps, 1)
	})
}

// Linear takes nil for no bias.
func Linear(x, weight, bias Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgLinear(p, lib.Ctensor(x), lib.Ctensor(weight), lib.Ctensor(bias)) })
}

// Gelu is exact, or the approximation by tanh.
func Gelu(x Tensor, tanh bool) Tensor {
	var p unsafe.Pointer
	C.gelu(&p, unsafe.Pointer(x), C.int(flagInt(tanh)))
	return Tensor(p)
}

func Relu(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgRelu(p, lib.Ctensor(x)) })
}

func Tanh(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgTanh(p, lib.Ctensor(x)) })
}

// Attention is softmax(q kᵀ * scale + mask) v; the mask must be a real tensor.
func Attention(q, k, v, mask Tensor, scale float64) Tensor {
	return out(func(p *lib.Ctensor) {
		lib.AtgScaledDotProductAttention(
			p, lib.Ctensor(q), lib.Ctensor(k), lib.Ctensor(v), lib.Ctensor(mask), 0, 0, scale, 0)
	})
}

func Reshape(x Tensor, shape []int64) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgReshape(p, lib.Ctensor(x), shape, len(shape)) })
}

func Transpose(x Tensor, a, b int64) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgTranspose(p, lib.Ctensor(x), a, b) })
}

func Select(x Tensor, dim, index int64) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgSelect(p, lib.Ctensor(x), dim, index) })
}

func Narrow(x Tensor, dim, start, length int64) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgNarrow(p, lib.Ctensor(x), dim, start, length) })
}

func Add(a, b Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgAdd(p, lib.Ctensor(a), lib.Ctensor(b)) })
}

func Mul(a, b Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgMul(p, lib.Ctensor(a), lib.Ctensor(b)) })
}

func Div(a, b Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgDiv(p, lib.Ctensor(a), lib.Ctensor(b)) })
}

func Matmul(a, b Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgMatmul(p, lib.Ctensor(a), lib.Ctensor(b)) })
}

func MulScalar(x Tensor, v float64) Tensor {
	return scalar(v, func(p *lib.Ctensor, c lib.Cscalar) { lib.AtgMulScalar(p, lib.Ctensor(x), c) })
}

func ClampMin(x Tensor, v float64) Tensor {
	return scalar(v, func(p *lib.Ctensor, c lib.Cscalar) { lib.AtgClampMin(p, lib.Ctensor(x), c) })
}

func Sum(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgSum(p, lib.Ctensor(x), -1) })
}

func SumDim(x Tensor, dim int64, keep bool) Tensor {
	return out(func(p *lib.Ctensor) {
		lib.AtgSumDimIntlist(p, lib.Ctensor(x), []int64{dim}, 1, int32(flagInt(keep)), -1)
	})
}

// Norm is the L2 norm along one dimension.
func Norm(x Tensor, dim int64, keep bool) Tensor {
	return scalar(2, func(p *lib.Ctensor, c lib.Cscalar) {
		lib.AtgNormScalaroptDim(p, lib.Ctensor(x), c, []int64{dim}, 1, int32(flagInt(keep)))
	})
}

// NormAll is the L2 norm over all elements.
func NormAll(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgNorm(p, lib.Ctensor(x)) })
}

func Sqrt(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgSqrt(p, lib.Ctensor(x)) })
}

// Stack joins tensors of one shape along a new first dimension.
func Stack(ts []Tensor) Tensor {
	ptrs := pointers(ts)
	return out(func(p *lib.Ctensor) { lib.AtgStack(p, ptrs, len(ptrs), 0) })
}

func Cat(ts []Tensor, dim int64) Tensor {
	ptrs := pointers(ts)
	return out(func(p *lib.Ctensor) { lib.AtgCat(p, ptrs, len(ptrs), dim) })
}

func pointers(ts []Tensor) []lib.Ctensor {
	ptrs := make([]lib.Ctensor, len(ts))
	for i, t := range ts {
		ptrs[i] = lib.Ctensor(t)
	}
	return ptrs
}

func Expand(x Tensor, shape []int64) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgExpand(p, lib.Ctensor(x), shape, len(shape), 0) })
}

func IndexSelect(x Tensor, dim int64, indices Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgIndexSelect(p, lib.Ctensor(x), dim, lib.Ctensor(indices)) })
}

func Gather(x Tensor, dim int64, indices Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgGather(p, lib.Ctensor(x), dim, lib.Ctensor(indices), 0) })
}

func Roll(x Tensor, dim, shift int64) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgRoll(p, lib.Ctensor(x), []int64{shift}, 1, []int64{dim}, 1) })
}

func MeanDim(x Tensor, dim int64, keep bool) Tensor {
	return out(func(p *lib.Ctensor) {
		lib.AtgMeanDim(p, lib.Ctensor(x), []int64{dim}, 1, int32(flagInt(keep)), -1)
	})
}

func Softmax(x Tensor, dim int64) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgSoftmax(p, lib.Ctensor(x), dim, -1) })
}

func LogSumExp(x Tensor, dim int64, keep bool) Tensor {
	return out(func(p *lib.Ctensor) {
		lib.AtgLogsumexp(p, lib.Ctensor(x), []int64{dim}, 1, int32(flagInt(keep)))
	})
}

// Amax is the largest element along one dimension.
func Amax(x Tensor, dim int64, keep bool) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgAmax(p, lib.Ctensor(x), []int64{dim}, 1, int32(flagInt(keep))) })
}

func Silu(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgSilu(p, lib.Ctensor(x)) })
}

func Rsqrt(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgRsqrt(p, lib.Ctensor(x)) })
}

// The operations with an underscore change their first operand and return a second pointer to it.

func Zero_(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgZero_(p, lib.Ctensor(x)) })
}

func MulScalar_(x Tensor, v float64) Tensor {
	return scalar(v, func(p *lib.Ctensor, c lib.Cscalar) { lib.AtgMulScalar_(p, lib.Ctensor(x), c) })
}

func AddScalar_(x Tensor, v float64) Tensor {
	return scalar(v, func(p *lib.Ctensor, c lib.Cscalar) { lib.AtgAddScalar_(p, lib.Ctensor(x), c) })
}

// Lerp_ is x += weight * (end - x).
func Lerp_(x, end Tensor, weight float64) Tensor {
	return scalar(weight, func(p *lib.Ctensor, c lib.Cscalar) { lib.AtgLerp_(p, lib.Ctensor(x), lib.Ctensor(end), c) })
}

func Add_(x, y Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgAdd_(p, lib.Ctensor(x), lib.Ctensor(y)) })
}

func Mul_(x, y Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgMul_(p, lib.Ctensor(x), lib.Ctensor(y)) })
}

func Exp_(x Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgExp_(p, lib.Ctensor(x)) })
}

// Addmm_ is x += a b.
func Addmm_(x, a, b Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgAddmm_(p, lib.Ctensor(x), lib.Ctensor(a), lib.Ctensor(b)) })
}

func ScatterValue_(x Tensor, dim int64, indices Tensor, v float64) Tensor {
	return scalar(v, func(p *lib.Ctensor, c lib.Cscalar) {
		lib.AtgScatterValue_(p, lib.Ctensor(x), dim, lib.Ctensor(indices), c)
	})
}

func ScatterAdd_(x Tensor, dim int64, indices, src Tensor) Tensor {
	return out(func(p *lib.Ctensor) {
		lib.AtgScatterAdd_(p, lib.Ctensor(x), dim, lib.Ctensor(indices), lib.Ctensor(src))
	})
}

// Addcdiv_ is x += a / b.
func Addcdiv_(x, a, b Tensor) Tensor {
	return out(func(p *lib.Ctensor) { lib.AtgAddcdiv_(p, lib.Ctensor(x), lib.Ctensor(a), lib.Ctensor(b)) })
}

func out(f func(*lib.Ctensor)) Tensor {
	var p lib.Ctensor
	f(&p)
	return Tensor(p)
}

func scalar(v float64, f func(*lib.Ctensor, lib.Cscalar)) Tensor {
	c := lib.AtsFloat(v)
	defer lib.AtsFree(c)
	return out(func(p *lib.Ctensor) { f(p, c) })
}

// dims gives a scalar's empty shape a first element, whose address libtch takes.
func dims(shape []int64) []int64 {
	if len(shape) == 0 {
		return make([]int64, 0, 1)[:1]
	}
	return shape
}

func flagInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
