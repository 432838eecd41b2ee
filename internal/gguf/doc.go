// Package gguf reads GGUF files, versions 2 and 3, in which llama.cpp keeps language models: metadata (settings, the
// tokenizer's vocabulary, the chat template), a directory of tensors, and the tensors, often quantised in blocks.
//
// Open checks the file: every length and every tensor lies inside it, and no tensor overlaps another. Errors name the
// file and the byte. Tensors stay in the mapped file until they are read.
//
// Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (format), ggml-quants.c (blocks).
package gguf
