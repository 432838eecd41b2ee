package raw

import "unsafe"

// Gloo points to one worker's end of a group, GlooOperation to an operation that it has begun. Unlike tensors they may be
// used on any thread, and errors come with the calls.
type (
	Gloo          unsafe.Pointer
	GlooOperation unsafe.Pointer
)
