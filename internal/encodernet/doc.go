// Package encodernet is the network of Retort's encoder and cross-encoder on LibTorch: BERT (Devlin et al. 2019, arXiv
// 1810.04805) and RoBERTa, whose positions begin at another row. It reads the weights from a Hugging Face folder and
// trains them by AdamW. The caller adds pooling or a classification head.
//
// The package compiles without LibTorch. It computes in a scope of package torch, whose runtime a program without
// LibTorch cannot open.
package encodernet
