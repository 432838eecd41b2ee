package strictjson

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkUnmarshal compares with encoding/json: a corpus of 100,000 lines with metadata, as BEIR's are, and a
// vocabulary of 30,000 tokens. One operation is the whole.
func BenchmarkUnmarshal(b *testing.B) {
	var corpus [][]byte
	for i := range 100_000 {
		text := strings.Repeat(fmt.Sprintf("Descale the kettle number %d with vinegar, “twice”. ", i), 15)
		line, err := json.Marshal(map[string]any{
			"_id": fmt.Sprint(i), "title": "Kettle", "text": text,
			"metadata": map[string]any{"url": "x", "n": []int{1, 2}},
		})
		require.NoError(b, err)
		corpus = append(corpus, line)
	}
	tokens := map[string]int{}
	for i := range 30_000 {
		tokens[fmt.Sprintf("##token%d", i)] = i
	}
	vocabulary, err := json.Marshal(tokens)
	require.NoError(b, err)
	for _, decoder := range []struct {
		name      string
		unmarshal func([]byte, any) error
	}{{"encoding/json", json.Unmarshal}, {"strictjson", Unmarshal}} {
		b.Run("corpus/"+decoder.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, line := range corpus {
					var p struct {
						ID    string `json:"_id"`
						Title string `json:"title"`
						Text  string `json:"text"`
					}
					if err := decoder.unmarshal(line, &p); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run("vocabulary/"+decoder.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var ids map[string]int64
				if err := decoder.unmarshal(vocabulary, &ids); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
