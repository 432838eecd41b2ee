package tokenizer

import (
	"strings"
	"testing"
)

// BenchmarkEncode encodes English prose of our own, on one thread.
func BenchmarkEncode(b *testing.B) {
	text := strings.Repeat(strings.Join(readJSON[goldenTexts](b, "texts.json").Texts[200:], " ")+" ", 4)
	for _, kind := range []string{"gpt2", "smollm", "llama3", "qwen2", "gpt4o", "roberta", "llama2", "xlmr", "bge-m3"} {
		b.Run(kind, func(b *testing.B) { benchmark(b, load(b, kind), text) })
	}
}

func benchmark(b *testing.B, tokenizer *Tokenizer, text string) {
	tokens := 0
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tokens += len(must(tokenizer.Encode(text)))
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}
