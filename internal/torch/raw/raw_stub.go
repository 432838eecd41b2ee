//go:build !libtorch

package raw

import "unsafe"

// Available says whether the program was built with LibTorch.
const Available = false

func LastError() string                                         { return "" }
func NumThreads() int                                           { return 0 }
func SetNumThreads(int)                                         {}
func CUDADevices() int                                          { return 0 }
func SetGrad(bool) bool                                         { return false }
func Free(Tensor)                                               {}
func Memory(Tensor) unsafe.Pointer                              { return nil }
func FromData(unsafe.Pointer, []int64, uint, int) Tensor        { return nil }
func CopyTo(Tensor, unsafe.Pointer, uint, uint)                 {}
func Shape(Tensor) []int64                                      { return nil }
func Defined(Tensor) bool                                       { return false }
func Backward(Tensor)                                           {}
func Copy(Tensor, Tensor)                                       {}
func Zeros([]int64, int, int) Tensor                            { return nil }
func SetRequiresGrad(Tensor, bool) Tensor                       { return nil }
func Grad(Tensor) Tensor                                        { return nil }
func ToDevice(Tensor, int) Tensor                               { return nil }
func ToType(Tensor, int) Tensor                                 { return nil }
func Embedding(Tensor, Tensor, bool) Tensor                     { return nil }
func LayerNorm(Tensor, []int64, Tensor, Tensor, float64) Tensor { return nil }
func Linear(Tensor, Tensor, Tensor) Tensor                      { return nil }
func Gelu(Tensor, bool) Tensor                                  { return nil }
func Relu(Tensor) Tensor                                        { return nil }
func Tanh(Tensor) Tensor                                        { return nil }
func Attention(Tensor, Tensor, Tensor, Tensor, float64) Tensor  { return nil }
func Reshape(Tensor, []int64) Tensor                            { return nil }
func Transpose(Tensor, int64, int64) Tensor                     { return nil }
func Select(Tensor, int64, int64) Tensor                        { return nil }
func Narrow(Tensor, int64, int64, int64) Tensor                 { return nil }
func Add(Tensor, Tensor) Tensor                                 { return nil }
func Mul(Tensor, Tensor) Tensor                                 { return nil }
func Div(Tensor, Tensor) Tensor                                 { return nil }
func Matmul(Tensor, Tensor) Tensor                              { return nil }
func MulScalar(Tensor, float64) Tensor                          { return nil }
func ClampMin(Tensor, float64) Tensor                           { return nil }
func Sum(Tensor) Tensor                                         { return nil }
func SumDim(Tensor, int64, bool) Tensor                         { return nil }
func Norm(Tensor, int64, bool) Tensor                           { return nil }
func NormAll(Tensor) Tensor                                     { return nil }
func Sqrt(Tensor) Tensor                                        { return nil }
func Cat([]Tensor, int64) Tensor                                { return nil }
func Expand(Tensor, []int64) Tensor                             { return nil }
func IndexSelect(Tensor, int64, Tensor) Tensor                  { return nil }
func Gather(Tensor, int64, Tensor) Tensor                       { return nil }
func Roll(Tensor, int64, int64) Tensor                          { return nil }
func MeanDim(Tensor, int64, bool) Tensor                        { return nil }
func Softmax(Tensor, int64) Tensor                              { return nil }
func LogSumExp(Tensor, int64, bool) Tensor                      { return nil }
func Silu(Tensor) Tensor                                        { return nil }
func Rsqrt(Tensor) Tensor                                       { return nil }
func Stack([]Tensor) Tensor                                     { return nil }
func Zero_(Tensor) Tensor                                       { return nil }
func MulScalar_(Tensor, float64) Tensor                         { return nil }
func AddScalar_(Tensor, float64) Tensor                         { return nil }
func Add_(Tensor, Tensor) Tensor                                { return nil }
func Mul_(Tensor, Tensor) Tensor                                { return nil }
func Exp_(Tensor) Tensor                                        { return nil }
func Addmm_(Tensor, Tensor, Tensor) Tensor                      { return nil }
func ScatterValue_(Tensor, int64, Tensor, float64) Tensor       { return nil }
func ScatterAdd_(Tensor, int64, Tensor, Tensor) Tensor          { return nil }
func Amax(Tensor, int64, bool) Tensor                           { return nil }
func Lerp_(Tensor, Tensor, float64) Tensor                      { return nil }
func Addcdiv_(Tensor, Tensor, Tensor) Tensor                    { return nil }

func AdamW(w, m, v, g Tensor, start, end int64, scale, weight1, weight2, keep, rate, eps float32) {}
