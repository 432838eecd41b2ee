// Package crossencoder is a [teacher.Teacher] that reads query and passage together: BERT, RoBERTa and XLM-R models
// with a classification head, such as the MiniLM and bge rerankers, from Hugging Face folders, computed on LibTorch or in
// pure Go. [Open] reads one; [Train] makes one out of any BERT folder.
//
// Scores are raw logits, whatever activation the folder's config.json names for sentence-transformers' CrossEncoder: a
// sigmoid would not change the order, and calibrations and losses want what lies before it. Of a model with two labels
// (not relevant, relevant) the score is the difference of their logits, which is the log odds of the softmax.
//
// Pairs are encoded as Hugging Face's fast tokenizers do, with one exception: a special token that is written in a
// text, such as "</s>", is text to RoBERTa and XLM-R models; BERT's ("[SEP]") are recognised, as Hugging Face
// recognises them.
//
// In a program built without LibTorch a model scores in pure Go, and Train returns retort.ErrNoLibTorch.
package crossencoder
