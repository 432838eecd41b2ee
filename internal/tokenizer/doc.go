// Package tokenizer reads the tokenizers of model folders and GGUF files, and turns text into token ids and back.
// Encoders, cross-encoders and language models share it.
//
// [Load] reads a folder: it merges tokenizer.json or vocab.txt, tokenizer_config.json, special_tokens_map.json and
// added_tokens.json into one description of normalizer, pre-tokenizer, model, post-processor and added tokens, and
// builds a [Tokenizer] from it. [FromGGUF] reads the vocabulary of a GGUF file. Every key of tokenizer.json is honoured
// or refused by name.
//
// The models are WordPiece (BERT), byte-level BPE (GPT-2, SmolLM2, Llama 3, Qwen2, RoBERTa, ModernBERT), BPE with byte
// fallback as sentencepiece and llama.cpp do it (Llama 2), and unigram language models (XLM-R, bge-reranker). The ids
// equal those of Hugging Face's tokenizers package. A vocabulary of a GGUF file gives the ids of llama.cpp, except that
// Qwen2's text is normalised to NFC first, as Qwen2's own tokenizer does.
//
// # Other modules
//
// github.com/sugarme/tokenizer computes WordPiece. This package does not use the rest of that module: with the goldens
// in testdata, which come from Hugging Face, its byte-level BPE splits runs of newlines before a word differently, its
// precompiled normalisation differs and panics on a truncated table, and its BertNormalizer keeps accents. Its BPE and
// its unigram model take time that is quadratic in the length of a word. Further modules compute normal forms and UTF-8
// (golang.org/x/text), grapheme clusters (github.com/rivo/uniseg), and regular expressions with lookahead
// (github.com/dlclark/regexp2) for all patterns but three, which hand-written code matches.
//
// # Text
//
// Invalid UTF-8 counts as U+FFFD. Classes of characters follow Go's Unicode tables, except in BERT's normalizer and
// pre-tokenizer, which follow the tables of Hugging Face's package. Time and memory are proportional to the text times
// the logarithm of its longest word; only a regular expression of the file can take longer.
package tokenizer
