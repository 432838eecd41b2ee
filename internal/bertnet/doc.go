// Package bertnet is the network that Retort's encoder and its cross-encoder share: BERT (Devlin et al. 2019, arXiv
// 1810.04805) and RoBERTa, which differs in where positions begin, on LibTorch; its weights in a Hugging Face folder;
// and their training by AdamW. What stands on top of the last layer (pooling, a classification head) is the caller's.
//
// It is ordinary Go. All computing happens in a scope of package torch, whose runtime a program without LibTorch cannot
// open.
package bertnet
