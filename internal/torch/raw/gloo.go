package raw

import (
	"time"
	"unsafe"
)

// Gloo points to one worker's end of a group, GlooOperation to an operation that it has begun. Unlike tensors they
// may be used on any thread, and errors come with the calls.
type (
	Gloo          unsafe.Pointer
	GlooOperation unsafe.Pointer
)

// GlooOptions say how one worker of a group connects to the others.
type GlooOptions struct {
	Host       string // of the store
	Port       int
	Serve      bool   // this worker serves the store
	Prefix     string // of the group's keys in the store
	Rank, Size int
	Timeout    time.Duration // of connecting, and of each operation
}
