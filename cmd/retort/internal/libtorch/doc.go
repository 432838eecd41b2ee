// Package libtorch sets a machine up for Retort's LibTorch build tag: it finds LibTorch or brings it, compiles the few
// C++ wrappers of gotch that Retort calls, and says which environment makes "go build -tags libtorch" use both.
//
// [Install] does the work, [Env] prints the environment, [Doctor] says what is missing. It is ordinary Go without cgo.
//
// gotch's wrappers (about 2,500 C functions) are written for LibTorch 2.1. Compiling all of them takes minutes and fails
// for a few against any other version, and files of the module cache cannot be replaced. So Install makes a copy in which
// every function that Retort does not call, or that the compiler rejects, reports an error instead, compiles it once, and
// writes a C++ compiler wrapper (CXX) that hands this object to Go's build in place of gotch's file and passes every
// other call through unchanged. Go's build cache looks at a compiler's path and never inside, so the path holds a hash of
// all that matters.
//
// gotch has no wrapper of c10d, with which several processes train one model. The few functions of it in the folder gloo are
// compiled into the same object. LibTorch has Gloo in it but not Gloo's headers, so the folder also declares the few classes
// that c10d's own header names.
package libtorch

//go:generate go run ./genops
