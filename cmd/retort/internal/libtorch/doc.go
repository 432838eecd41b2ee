// Package libtorch prepares a machine for Retort's build tag libtorch. It finds or downloads LibTorch, compiles the C++
// wrappers of gotch that Retort calls, and prints the environment for "go build -tags libtorch". It does not use cgo.
//
// [Install] finds, downloads and compiles. [Env] returns the environment. [Doctor] checks the machine.
//
// gotch's wrappers are written for LibTorch 2.1. Compiling all of them takes minutes, and some do not compile against
// other versions. Files in the module cache cannot be replaced. Install therefore copies the wrappers, replaces each
// function that Retort does not call, or that the compiler rejects, by one that reports an error, and compiles the copy
// once. It also writes a wrapper of the C++ compiler (CXX), which gives this object to Go's build in place of gotch's
// file and passes all other calls to the compiler. Go's build cache depends on the path of the compiler but not on its
// contents, so the path contains a hash of all inputs.
//
// gotch has no wrapper of c10d, which trains one model with several processes. The folder gloo adds one to the same
// object. LibTorch contains Gloo but not Gloo's headers, so the folder also declares the classes in c10d's header.
package libtorch

//go:generate go run ./genops
