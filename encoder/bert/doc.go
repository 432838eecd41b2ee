// Package bert is Retort's encoder: any BERT-architecture sentence embedding model in Hugging Face or
// sentence-transformers layout, computed and trained on LibTorch. [Open] reads a folder, [Model.Save] writes one that
// sentence-transformers loads as well.
//
// In a program built without LibTorch, Open returns retort.ErrNoLibTorch once it has read the folder.
package bert
