//go:build libtorch

package raw

// Without errno, which a square root may set, the loop is one of vectors. Products and sums are not contracted, so
// that an element's bits do not depend on its place in a vector.

/*
#include <math.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
__attribute__((optimize("O3", "no-math-errno", "fp-contract=off")))
#endif
static void adamw(float *restrict w, float *restrict m, float *restrict v, float *restrict g, int64_t n,
                  float scale, float weight1, float weight2, float keep, float rate, float eps) {
	for (int64_t i = 0; i < n; i++) {
		float x = g[i] * scale;
		m[i] += weight1 * (x - m[i]);
		v[i] += weight2 * (x * x - v[i]);
		w[i] = w[i] * keep - rate * (m[i] / (sqrtf(v[i]) + eps));
		g[i] = 0;
	}
}
*/
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// AdamW makes a step with elements [start, end) of contiguous float32 tensors in the host's memory; see torch.AdamW. It
// throws nothing and may run on any thread.
func AdamW(w, m, v, g Tensor, start, end int64, scale, weight1, weight2, keep, rate, eps float32) {
	at := func(t Tensor) *C.float {
		return (*C.float)(unsafe.Add(lib.AtDataPtr(lib.Ctensor(t)), 4*start))
	}
	C.adamw(at(w), at(m), at(v), at(g), C.int64_t(end-start),
		C.float(scale), C.float(weight1), C.float(weight2), C.float(keep), C.float(rate), C.float(eps))
}
