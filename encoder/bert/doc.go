// Package bert is Retort's encoder: any BERT-architecture sentence embedding model in Hugging Face or
// sentence-transformers layout, computed and trained on LibTorch. [Open] reads a folder, [Model.Save] writes one that
// sentence-transformers loads as well.
//
// There is no checkpointing of activations, layer by layer: it bounds a graph that is too big, and here the trainer
// does that by micro-batches, each of which it computes anew where its graph does not fit (package distill). Both
// cost one more forward pass, and a micro-batch's graph (about 150 KB a token of MiniLM's shape, 600 KB of BERT
// base's) is as small as it is asked to be, down to one text.
//
// In a program built without LibTorch, Open returns retort.ErrNoLibTorch once it has read the folder.
package bert
