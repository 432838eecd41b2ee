package main

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/safetensors"
)

// writeModel writes a model folder with random weights, and a vocabulary of words that are a token each.
func writeModel(dir string, c encodernet.Config) error {
	c.MaxPositions, c.TypeVocabSize, c.LayerNormEps, c.Activation = 512, 2, 1e-12, "gelu"
	return errors.Join(
		writeJSON(filepath.Join(dir, encodernet.ConfigFile), map[string]any{
			"model_type": "bert", "hidden_size": c.HiddenSize, "num_hidden_layers": c.Layers, "num_attention_heads": c.Heads,
			"intermediate_size": c.IntermediateSize, "vocab_size": c.VocabSize, "max_position_embeddings": c.MaxPositions,
		}),
		writeJSON(filepath.Join(dir, "modules.json"), []map[string]any{
			{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
			{"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
		}),
		os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o777),
		writeJSON(filepath.Join(dir, "1_Pooling", "config.json"), map[string]any{
			"word_embedding_dimension": c.HiddenSize, "pooling_mode_mean_tokens": true,
		}),
		os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(strings.Join(words(c.VocabSize), "\n")+"\n"), 0o666),
		writeWeights(filepath.Join(dir, encodernet.WeightsFile), c),
	)
}

func writeJSON(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o666)
}

// words returns BERT's special tokens and words of four letters, n in all.
func words(n int) []string {
	all := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	for i := range n - len(all) {
		all = append(all, string([]byte{letter(i / 17576), letter(i / 676), letter(i / 26), letter(i)}))
	}
	return all
}

func letter(i int) byte { return 'a' + byte(i%26) }

func writeWeights(path string, c encodernet.Config) error {
	rng := rand.New(rand.NewPCG(3, 4))
	var tensors []safetensors.Tensor
	for _, shape := range encodernet.Shapes(c) {
		size := 1
		for _, d := range shape.Dims {
			size *= d
		}
		values := make([]float32, size)
		for i := range values {
			switch {
			case strings.HasSuffix(shape.Name, "LayerNorm.weight"):
				values[i] = 1
			case !strings.HasSuffix(shape.Name, "bias"):
				values[i] = float32(rng.NormFloat64()) * 0.02
			}
		}
		tensors = append(tensors, safetensors.Tensor{Name: shape.Name, Shape: shape.Dims, Values: values})
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(safetensors.Write(file, tensors, nil), file.Close())
}
