// Package torchsave reads the tensors of a file that torch.save wrote, such as pytorch_model.bin: a ZIP archive with a
// pickle that describes the tensors and a member for each storage, or the single stream of PyTorch before 1.6.
//
// A pickle is a program that may call any function of Python. This reader knows only what a dictionary of tensors
// needs, refuses every other function and operation by name, and runs nothing. The tensors stay on disk until Tensor is
// called.
//
// Reference: torch/serialization.py and torch/_weights_only_unpickler.py of PyTorch 2.
package torchsave
