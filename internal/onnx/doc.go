// Package onnx reads and writes networks in ONNX. It computes nothing.
//
// [Model] reads the weights of a network that PyTorch exported. The exporter keeps the names of most parameters, but
// turns the weight of a linear layer into an anonymous, transposed constant; [Model.Parameters] finds the weight's name
// in the graph. [Graph] writes a network, of which Model reads the same parameters.
//
// References: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (format) and
// https://github.com/onnx/onnx/blob/main/docs/Operators.md (operations).
package onnx
