// Package onnx reads the weights of a network that PyTorch exported to ONNX. It computes nothing. The exporter keeps
// the names of most parameters, but turns the weight of a linear layer into an anonymous, transposed constant;
// [Model.Parameters] finds the weight's name in the graph.
//
// Reference: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (format).
package onnx
