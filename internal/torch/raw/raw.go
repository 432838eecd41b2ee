// Package raw holds all calls of cgo and gotch: LibTorch's operations on bare pointers, at the cost of a C call.
// Package torch manages threads, lifetimes and errors, and is the only importer.
//
// An operation returns nil if LibTorch threw; [LastError], on the same OS thread, then returns the message. Built
// without the tag libtorch, every operation returns nil and [Available] is false.
package raw

import "unsafe"

// Tensor points to a torch::Tensor; nil is none. It must be given to Free once.
type Tensor unsafe.Pointer

// LibTorch's scalar types.
const (
	Int64    = 4
	Float16  = 5
	Float32  = 6
	Float64  = 7
	BFloat16 = 15
)

// CPU is the device number of the host; GPUs count from 0.
const CPU = -1
