package distill

import (
	"context"
	"errors"
)

// Group connects the workers of one run, for Options.Group. Each worker is a goroutine or a process with its own copy
// of the student. All workers call the same methods in the same order with slices of the same lengths, and a call
// returns after all workers have made it. NewLocalGroups and package distill/gloo have implementations.
//
// A call returns soon after ctx ends or another worker is lost. After an error the group cannot be used any more, and
// the contents of the slices are undefined. A Group must be used by one goroutine.
type Group interface {
	// Rank returns this worker's number, in [0, Size). Rank and Size are constant and safe for concurrent use.
	Rank() int
	// Size is the number of workers.
	Size() int
	// AllGather fills parts, one slice per rank, with the part that each worker holds for its own rank. Parts may be
	// empty. It preserves all bits, including the bits of NaNs.
	AllGather(ctx context.Context, parts [][]float32) error
	// AllReduce replaces each value by its sum over the workers. All workers get the same bits, and the order of
	// summation is the same for all calls with the same number of values.
	AllReduce(ctx context.Context, values []float32) error
}

// Aborter is implemented by a Group that can make the pending calls of the other workers fail. Train calls Abort when
// it fails. Without it the other workers wait until they detect the loss themselves.
type Aborter interface {
	Abort() error
}

// ErrWorkerLost is returned by Train if a worker of its group failed, ended or became unreachable. Unless rank 0 was
// lost, rank 0 has written a checkpoint of the last finished step if Checkpoints.Dir is set.
var ErrWorkerLost = errors.New("a worker of the group is lost")
