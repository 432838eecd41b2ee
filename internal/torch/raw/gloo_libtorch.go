//go:build libtorch

package raw

// The functions are in cmd/retort/internal/libtorch/gloo. They are weak, since a LibTorch without Gloo lacks them.

/*
#include <stdint.h>
#include <stdlib.h>

extern char *retort_gloo_connect(void **, const char *, int, int, int, const char *, const char *, int, int, int64_t)
	__attribute__((weak));
extern char *retort_gloo_allreduce(void **, void *, const float *, int64_t) __attribute__((weak));
extern char *retort_gloo_allgather(void **, void *, const float *, int64_t, int64_t) __attribute__((weak));
extern char *retort_gloo_broadcast(void **, void *, const float *, int64_t, int) __attribute__((weak));
extern char *retort_gloo_wait(void *) __attribute__((weak));
extern char *retort_gloo_disconnect(void *) __attribute__((weak));
extern char *retort_gloo_free(void *) __attribute__((weak));
extern void retort_gloo_read(void *, int64_t, float *, int64_t) __attribute__((weak));
extern void retort_gloo_free_operation(void *) __attribute__((weak));

static int gloo_available(void) { return retort_gloo_connect != 0; }
static char *gloo_connect(void **out, const char *host, int port, int serve, int listen, const char *address,
	const char *prefix, int rank, int size, int64_t ms) {
	return retort_gloo_connect(out, host, port, serve, listen, address, prefix, rank, size, ms);
}
static char *gloo_allreduce(void **out, void *g, const float *data, int64_t n) {
	return retort_gloo_allreduce(out, g, data, n);
}
static char *gloo_allgather(void **out, void *g, const float *data, int64_t n, int64_t room) {
	return retort_gloo_allgather(out, g, data, n, room);
}
static char *gloo_broadcast(void **out, void *g, const float *data, int64_t n, int root) {
	return retort_gloo_broadcast(out, g, data, n, root);
}
static char *gloo_wait(void *op) { return retort_gloo_wait(op); }
static char *gloo_disconnect(void *g) { return retort_gloo_disconnect(g); }
static char *gloo_free(void *g) { return retort_gloo_free(g); }
static void gloo_read(void *op, int64_t start, float *out, int64_t n) { retort_gloo_read(op, start, out, n); }
static void gloo_free_operation(void *op) { retort_gloo_free_operation(op); }
*/
import "C"

import (
	"errors"
	"unsafe"
)

// GlooAvailable says whether LibTorch was installed with Gloo.
func GlooAvailable() bool { return C.gloo_available() != 0 }

// GlooConnect waits for the other workers. If this worker serves the store, the store takes over the bound socket
// listen, or binds to every address of the machine if listen is -1. The worker's own connections bind to address, or
// if it is empty to the address of the machine's name.
func GlooConnect(o GlooOptions, listen int, address string) (Gloo, error) {
	h, a, p := C.CString(o.Host), C.CString(address), C.CString(o.Prefix)
	defer C.free(unsafe.Pointer(h))
	defer C.free(unsafe.Pointer(a))
	defer C.free(unsafe.Pointer(p))
	var g unsafe.Pointer
	err := glooError(C.gloo_connect(&g, h, C.int(o.Port), C.int(flagInt(o.Serve)), C.int(listen), a, p, C.int(o.Rank),
		C.int(o.Size),
		C.int64_t(o.Timeout.Milliseconds())))
	return Gloo(g), err
}

func GlooAllReduce(g Gloo, data []float32) (GlooOperation, error) {
	var op unsafe.Pointer
	err := glooError(C.gloo_allreduce(&op, unsafe.Pointer(g), floats(data), C.int64_t(len(data))))
	return GlooOperation(op), err
}

// GlooAllGather gathers room values of each worker. data are this worker's values.
func GlooAllGather(g Gloo, data []float32, room int) (GlooOperation, error) {
	var op unsafe.Pointer
	err := glooError(C.gloo_allgather(&op, unsafe.Pointer(g), floats(data), C.int64_t(len(data)), C.int64_t(room)))
	return GlooOperation(op), err
}

// GlooBroadcast sends the data of the worker root.
func GlooBroadcast(g Gloo, data []float32, root int) (GlooOperation, error) {
	var op unsafe.Pointer
	err := glooError(C.gloo_broadcast(&op, unsafe.Pointer(g), floats(data), C.int64_t(len(data)), C.int(root)))
	return GlooOperation(op), err
}

// GlooWait waits until the operation has ended.
func GlooWait(op GlooOperation) error { return glooError(C.gloo_wait(unsafe.Pointer(op))) }

// GlooRead copies the result of an operation that has ended, from the value start on.
func GlooRead(op GlooOperation, start int, out []float32) {
	if len(out) > 0 {
		C.gloo_read(unsafe.Pointer(op), C.int64_t(start), floats(out), C.int64_t(len(out)))
	}
}

func GlooFreeOperation(op GlooOperation) { C.gloo_free_operation(unsafe.Pointer(op)) }

// GlooDisconnect makes the operations of other workers fail.
func GlooDisconnect(g Gloo) error { return glooError(C.gloo_disconnect(unsafe.Pointer(g))) }

// GlooFree must be called after all operations have ended.
func GlooFree(g Gloo) error { return glooError(C.gloo_free(unsafe.Pointer(g))) }

func floats(data []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(data))) }

func glooError(message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}
