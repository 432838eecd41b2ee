// Package raw is the one place that touches cgo and gotch: LibTorch's operations on bare pointers, at the cost of a C
// call. Package torch above it owns threads, lifetimes and errors; nothing else imports this one.
//
// An operation returns nil where LibTorch threw; [LastError] then gives the message. Both must happen on one OS thread.
// Built without the tag libtorch every operation returns nil and [Available] is false.
package raw

import "unsafe"

// Tensor points to a torch::Tensor; nil is none. It must be given to Free once.
type Tensor unsafe.Pointer

// LibTorch's scalar types.
const (
	Int64    = 4
	Float32  = 6
	Float64  = 7
	BFloat16 = 15
)

// CPU is the device number of the host; GPUs count from 0.
const CPU = -1
