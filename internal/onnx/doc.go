// Package onnx reads the weights of a network exported to ONNX by PyTorch. The exporter keeps the names of most
// parameters, but folds a linear layer's weight into an anonymous, transposed constant; [Model.Parameters] finds its
// name in the graph. Nothing is computed here.
//
// Reference: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (format).
package onnx
