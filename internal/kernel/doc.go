// Package kernel computes what a transformer needs of linear algebra, in float32: products with weights that are packed
// once, activations, softmax and norms. It chooses assembly by what the processor can do when the program starts, and
// is plain Go elsewhere and with the build tag purego.
//
// A matrix is row-major. Functions write only to their destination and allocate nothing. They panic on slices that are
// too short: sizes are the caller's. A destination may be one of the sources where its comment says so, and must not
// overlap them otherwise. Functions are safe for concurrent use as long as their destinations are disjoint.
//
// An element of a product is one chain of multiplications and additions in the order of the columns. So it depends on
// its row and its column of weights alone, not on what else is in the matrix; but its last bits differ between paths.
package kernel

//go:generate go run ./gen
