// Package onnx encodes texts with models in ONNX on onnxruntime, for programs that use onnxruntime already. [Open] reads a
// folder that "retort export -onnx" or [transformer.Folder.ExportONNX] wrote. The vectors are those of package
// encoder/transformer, to rounding.
//
// The package is a module of its own. It needs cgo and, when the program runs, the shared library of onnxruntime 1.24,
// which is in the Python package onnxruntime and in the releases of https://github.com/microsoft/onnxruntime.
//
// [transformer.Folder.ExportONNX]: https://pkg.go.dev/github.com/retort-ir/retort/encoder/transformer#Folder.ExportONNX
package onnx
