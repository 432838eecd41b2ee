// Package subword turns text into the token ids of language models and of RoBERTa-like rerankers, and back: BPE over
// bytes (GPT-2, SmolLM2, Llama 3, Qwen2, RoBERTa), BPE with byte fallback as sentencepiece and llama.cpp do it (Llama 2),
// and unigram language models (XLM-R, bge-reranker). [Load] reads Hugging Face's tokenizer.json, [FromGGUF] the vocabulary
// of a GGUF file. The ids equal those of Hugging Face's tokenizers package; a vocabulary of a GGUF file gives those of
// llama.cpp, but that Qwen2's text is brought to NFC first, as its own tokenizer does. (BERT's WordPiece is in encoder/bert.)
//
// # Why this code is our own
//
// The parts of github.com/sugarme/tokenizer v0.3.0, which the module requires for WordPiece, were held against the goldens
// in testdata, which are Hugging Face's. Its byte-level BPE differs in 9 of 377 texts (runs of newlines before a word) and
// takes 32 s for one word of 20,000 letters; its precompiled normalisation differs in 174, since it loses the text
// behind a character that is replaced, and panics on a table that is cut short; its unigram model agrees in all, but takes
// 26 s for a piece of 20,000 letters and needs a further module. None is used. From other modules come normal forms and UTF-8
// (golang.org/x/text), grapheme clusters (github.com/rivo/uniseg), and, for a pattern that is none of the three which are
// recognised literally, regular expressions with lookahead (github.com/dlclark/regexp2).
//
// # Text
//
// What is no UTF-8 counts as U+FFFD. Characters are classed as in Go's Unicode tables. Work and memory grow in
// proportion to the text (times the logarithm of its longest word), whatever it holds; only a regular expression of the
// file's own can take longer.
package subword
