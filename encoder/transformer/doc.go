// Package transformer runs and trains sentence embedding models on LibTorch: BERT, RoBERTa, XLM-R, MPNet, DistilBERT,
// gte, nomic, ModernBERT, Qwen3 (docs/models.md has the table). [Open] reads a model folder in the layout of Hugging
// Face or sentence-transformers, or a model by its name on the Hugging Face hub; [Model.Save] writes a folder that
// sentence-transformers loads as well.
//
// The package has no activation checkpointing per layer. The trainer (package distill) bounds the memory of graphs by
// micro-batches instead: it recomputes a micro-batch whose graph does not fit. Both techniques cost one more forward
// pass, and a micro-batch can be as small as one text.
//
// In a program built without LibTorch, Open reads and checks the folder and then returns retort.ErrNoLibTorch.
package transformer
