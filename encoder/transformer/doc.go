// Package transformer runs and trains sentence embedding models: BERT, RoBERTa, XLM-R, MPNet, DistilBERT,
// gte, nomic, ModernBERT, Qwen3 (docs/models.md has the table). [Open] reads a model folder in the layout of Hugging
// Face or sentence-transformers, or a model by its name on the Hugging Face hub; [Model.Save] writes a folder that
// sentence-transformers loads as well.
//
// The package has no activation checkpointing per layer. The trainer (package distill) bounds the memory of graphs by
// micro-batches instead: it recomputes a micro-batch whose graph does not fit. Both techniques cost one more forward
// pass, and a micro-batch can be as small as one text.
//
// Two engines compute the same vectors to 1e-5. A program built with LibTorch encodes and trains on it. A program built
// without LibTorch encodes in pure Go, on the CPU and in float32, with the weights packed for the processor's vector
// instructions; the methods of training return retort.ErrNoLibTorch.
package transformer
