package torch

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// The messages come from LibTorch 2.15's allocators and from oneDNN.
func TestErrorsForWantOfMemoryAreKnown(t *testing.T) {
	for message, want := range map[string]error{
		"[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.": ErrMemory,
		"CUDA out of memory. Tried to allocate 2.00 GiB.":                                                                          ErrMemory,
		"std::bad_alloc":               ErrMemory,
		"could not create a primitive": errKernel,
		"could not create a primitive descriptor for a matmul primitive": nil,
		"index out of range in self":                                     nil,
	} {
		err := libtorchError("linear", message+"\nException raised from f")
		require.ErrorContains(t, err, "torch: linear: ")
		require.ErrorContains(t, err, message)
		require.Equal(t, want != nil, errors.Is(err, ErrMemory), message)
		require.Equal(t, want == errKernel, errors.Is(err, errKernel), message)
	}
}
