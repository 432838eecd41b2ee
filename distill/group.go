package distill

import (
	"context"
	"errors"
)

// Group joins the workers of one run, for Options.Group. Each worker is a goroutine or a process with a student of its own,
// and all call the same methods in the same order with slices of the same lengths; a call returns once all workers have made
// it. NewLocalGroups and package distill/gloo have implementations.
//
// A call returns soon after ctx ends, and soon after another worker is known to be lost. After an error the group is of no
// more use, and its slices may hold anything. A group belongs to one goroutine.
type Group interface {
	// Rank is this worker's number, in [0, Size). Like Size it never changes, and may be called by any goroutine.
	Rank() int
	// Size is the number of workers.
	Size() int
	// AllGather fills parts, one slice a rank, with what each worker has in the part of its own rank. Parts may be empty. The
	// bits arrive as they are, those of NaNs too.
	AllGather(ctx context.Context, parts [][]float32) error
	// AllReduce replaces each value by its sum over the workers: on all of them by the same bits, at the same order of sums
	// whenever it is called with values of that length.
	AllReduce(ctx context.Context, values []float32) error
}

// Aborter is implemented by a Group that can end the waits of the other workers with an error. Train calls Abort when it fails.
// The workers of another wait until they notice by themselves.
type Aborter interface {
	Abort() error
}

// ErrWorkerLost says that Train ended because a worker of its group failed, ended or could not be reached any more. Unless it
// is rank 0 that was lost, that one has written a checkpoint of the last finished step, where Options.Dir asks for checkpoints.
var ErrWorkerLost = errors.New("a worker of the group is lost")
