// Package libtch has the shape of gotch's package of that name: C functions, their Go names and link flags that no
// machine without CUDA can follow.
package libtch

// #cgo LDFLAGS: -lstdc++ -ltorch -lc10 -ltorch_cpu -lcuda -lcudart -lcublas -lcudnn -lcaffe2_nvrtc -lnvrtc-builtins
// #cgo LDFLAGS: -lnvrtc -lnvToolsExt -lc10_cuda -ltorch_cuda
// #cgo CXXFLAGS: -std=c++17 -I${SRCDIR} -g -O3
// #include "torch_api.h"
import "C"

func AtgTwice(x int) int { return int(C.atg_twice(C.int(x))) }

func AtgThrice(x int) int { return int(C.atg_thrice(C.int(x))) }

// Thrice calls another Go function.
func Thrice(x int) int { return AtgThrice(x) }

func AtgGone() { C.atg_gone() }

func GetAndResetLastErr() string {
	message := C.get_and_reset_last_err()
	if message == nil {
		return ""
	}
	return C.GoString(message)
}
