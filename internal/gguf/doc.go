// Package gguf reads GGUF files, versions 2 and 3, in which llama.cpp keeps language models: metadata (settings, the
// tokenizer's vocabulary, the chat template), a directory of tensors, and the tensors, often quantised in blocks.
//
// A file that is opened has been checked: every length and every tensor lies inside it, no tensor overlaps another.
// What is wrong is an error that names the file and the byte. The tensors stay in the mapped file until they are
// asked for.
//
// Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (format), ggml-quants.c (blocks).
package gguf
