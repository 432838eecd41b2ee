package pretrained

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/onnx"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/safetensors"
)

// sentenceModel holds the properties of a BERT sentence embedding model that its ONNX file lacks.
type sentenceModel struct {
	heads                      int    // attention heads
	tokens                     int    // maximum length of a text
	pooling                    string // mean or cls
	queryPrompt, passagePrompt string
	lowerCase                  bool
}

// convert converts a BERT model in PyTorch's ONNX format and its tokenizer.json to a folder that sentence-transformers
// and encoder/transformer load. dir exists.
func convert(dir, onnxPath, tokenizerPath string, s sentenceModel) (err error) {
	m, err := onnx.Open(onnxPath)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	parameters, err := m.Parameters()
	if err != nil {
		return err
	}
	config, err := bertConfig(parameters, s)
	if err != nil {
		return fmt.Errorf("%s: %w", onnxPath, err)
	}
	if err := writeWeights(filepath.Join(dir, "model.safetensors"), parameters); err != nil {
		return err
	}
	tokenizer, err := regular.ReadFile(tokenizerPath, regular.MaxJSON)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, "tokenizer.json"), tokenizer); err != nil {
		return err
	}
	for _, file := range []struct {
		name  string
		value any
	}{
		{"config.json", config},
		{"tokenizer_config.json", s.tokenizerConfig()},
		{"modules.json", modules()},
		{"1_Pooling/config.json", s.poolingConfig(config["hidden_size"])},
		{"2_Normalize/config.json", map[string]any{}},
		{"sentence_bert_config.json", map[string]any{"max_seq_length": s.tokens, "do_lower_case": false}},
		{"config_sentence_transformers.json", s.promptConfig()},
	} {
		if err := jsonfile.Write(filepath.Join(dir, filepath.FromSlash(file.name)), file.value); err != nil {
			return err
		}
	}
	return nil
}

// bertConfig returns the config.json of a BertModel with these parameters.
func bertConfig(parameters []onnx.Parameter, s sentenceModel) (map[string]any, error) {
	shapes := map[string][]int{}
	for _, p := range parameters {
		shapes[p.Name] = p.Shape
	}
	config := map[string]any{
		"architectures": []string{"BertModel"}, "model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12,
		"num_attention_heads": s.heads, "position_embedding_type": "absolute", "pad_token_id": 0,
		"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02,
	}
	for key, at := range map[string]struct {
		parameter string
		dimension int
	}{
		"vocab_size":              {"embeddings.word_embeddings.weight", 0},
		"hidden_size":             {"embeddings.word_embeddings.weight", 1},
		"max_position_embeddings": {"embeddings.position_embeddings.weight", 0},
		"type_vocab_size":         {"embeddings.token_type_embeddings.weight", 0},
		"intermediate_size":       {"encoder.layer.0.intermediate.dense.weight", 0},
	} {
		shape := shapes[at.parameter]
		if len(shape) != 2 {
			return nil, fmt.Errorf("not a BERT model: parameter %q has shape %v", at.parameter, shape)
		}
		config[key] = shape[at.dimension]
	}
	layers := 0
	for shapes[fmt.Sprintf("encoder.layer.%d.output.dense.weight", layers)] != nil {
		layers++
	}
	config["num_hidden_layers"] = layers
	return config, nil
}

func writeWeights(path string, parameters []onnx.Parameter) error {
	tensors := make([]safetensors.Tensor, len(parameters))
	for i, p := range parameters {
		tensors[i] = safetensors.Tensor(p)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
	})
}

func (s sentenceModel) tokenizerConfig() map[string]any {
	return map[string]any{
		"tokenizer_class": "BertTokenizer", "do_lower_case": s.lowerCase, "model_max_length": s.tokens,
		"strip_accents": nil, "tokenize_chinese_chars": true,
		"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]",
	}
}

// modules lists the modules. It uses the type names of sentence-transformers 5, which version 6 reads too.
func modules() []map[string]any {
	var list []map[string]any
	for i, m := range [][2]string{{"", "Transformer"}, {"1_Pooling", "Pooling"}, {"2_Normalize", "Normalize"}} {
		list = append(list, map[string]any{
			"idx": i, "name": fmt.Sprint(i), "path": m[0], "type": "sentence_transformers.models." + m[1],
		})
	}
	return list
}

func (s sentenceModel) poolingConfig(width any) map[string]any {
	return map[string]any{
		"word_embedding_dimension":          width,
		"pooling_mode_cls_token":            s.pooling == "cls",
		"pooling_mode_mean_tokens":          s.pooling == "mean",
		"pooling_mode_max_tokens":           false,
		"pooling_mode_mean_sqrt_len_tokens": false,
		"include_prompt":                    true,
	}
}

func (s sentenceModel) promptConfig() map[string]any {
	return map[string]any{
		"model_type":          "SentenceTransformer",
		"prompts":             map[string]string{"query": s.queryPrompt, "document": s.passagePrompt},
		"default_prompt_name": nil,
		"similarity_fn_name":  "cosine",
	}
}
