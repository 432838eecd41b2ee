// Package encodernet is the network of Retort's encoder and cross-encoder on LibTorch: one transformer whose switches
// ([Config]) cover BERT (Devlin et al. 2019, arXiv 1810.04805) and the architectures after it. What model_type and keys
// config.json has, and what a family calls its weights, is a row of a table ([Families]). The package reads the weights
// from a Hugging Face folder, under the family's own names, and trains them by AdamW. The caller adds pooling or a
// classification head.
//
// The package compiles without LibTorch. It computes in a scope of package torch, whose runtime a program without
// LibTorch cannot open.
package encodernet
