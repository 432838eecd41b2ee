// Package encodernet is the network of Retort's encoder and cross-encoder: one transformer whose switches
// ([Config]) cover BERT (Devlin et al. 2019, arXiv 1810.04805) and the architectures after it. What model_type and keys
// config.json has, and what a family calls its weights, is a row of a table ([Families]). The package reads the weights
// from a Hugging Face folder, under the family's own names, and trains them by AdamW. The caller adds pooling or a
// classification head.
//
// Two types compute it. [Network] computes and learns in a scope of package torch, whose runtime a program without
// LibTorch cannot open. [Packed] computes in pure Go, by the kernels of package kernel, and does not learn.
package encodernet
