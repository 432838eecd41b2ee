// Package tokenizer reads the tokenizers of model folders and GGUF files, and turns text into token ids and back. It is
// the one reader of tokenizer.json for encoders, cross-encoders and language models.
//
// [Load] reads a folder: tokenizer.json or vocab.txt, tokenizer_config.json, special_tokens_map.json and
// added_tokens.json become one description of normalizer, pre-tokenizer, model, post-processor and added tokens, of
// which a [Tokenizer] is made. [FromGGUF] reads the vocabulary of a GGUF file. Every key of tokenizer.json is
// honoured or refused by name.
//
// The models are WordPiece (BERT), byte-level BPE (GPT-2, SmolLM2, Llama 3, Qwen2, RoBERTa, ModernBERT), BPE with byte
// fallback as sentencepiece and llama.cpp do it (Llama 2), and unigram language models (XLM-R, bge-reranker). The ids
// equal those of Hugging Face's tokenizers package. A vocabulary of a GGUF file gives the ids of llama.cpp, except that
// Qwen2's text is brought to NFC first, as its own tokenizer does.
//
// # What is computed elsewhere
//
// WordPiece is computed by github.com/sugarme/tokenizer. The other parts of its version 0.3.0 were tested with the
// goldens in testdata, which are Hugging Face's: its byte-level BPE differs in 9 of 377 texts (runs of newlines
// before a word) and takes 32 s for one word of 20,000 letters; its precompiled normalisation differs in 174 and
// panics on a table that is cut short; its unigram model agrees in all, but takes 26 s for a piece of 20,000 letters
// and needs a further module; its BertNormalizer keeps accents. Their code here is our own. Other modules compute
// normal forms and UTF-8 (golang.org/x/text), grapheme clusters (github.com/rivo/uniseg), and regular expressions
// with lookahead (github.com/dlclark/regexp2) for any pattern but the three that are recognised literally.
//
// # Text
//
// Bytes that are not UTF-8 count as U+FFFD. Characters are classed as in Go's Unicode tables, except in BERT's
// normalizer and pre-tokenizer, which follow the tables of Hugging Face's package. Work and memory grow in proportion
// to the text (times the logarithm of its longest word), whatever the text holds; only a regular expression of the
// file's own can take longer. WordPiece looks at words of at most 1,000 characters.
package tokenizer
