package crossencoder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcard"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// retortJSON tells that Retort wrote a folder.
const retortJSON = "retort_config.json"

// tokenizerFiles are copied where the start has them; tokenizer_config.json gets the length limit.
var tokenizerFiles = []string{
	"tokenizer.json", "special_tokens_map.json", "vocab.txt", "added_tokens.json", "vocab.json", "merges.txt",
	"sentencepiece.bpe.model",
}

// saveFolder writes a model of the folder f with other weights, and a model card that tells the facts: one label, and
// no activation in sentence-transformers' CrossEncoder, whose predict thus returns what Score does.
func saveFolder(dir string, f *folder, weights []safetensors.Tensor, facts [][2]string) error {
	if err := atomicfile.CheckFolder(dir, f.dir, retortJSON); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	err := atomicfile.WriteFolder(dir, func(dir string) error {
		if err := writeConfigs(dir, f); err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(filepath.Join(dir, modelcard.File), page(f, facts).Render()); err != nil {
			return err
		}
		for _, name := range tokenizerFiles {
			if err := copyTokenizerFile(dir, f, name); err != nil {
				return err
			}
		}
		return atomicfile.Write(filepath.Join(dir, encodernet.WeightsFile), func(w io.Writer) error {
			return safetensors.Write(w, weights, map[string]string{"format": "pt"})
		})
	})
	if err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	return nil
}

// copyTokenizerFile copies a file where the start has it, with the model's length limit.
func copyTokenizerFile(dir string, f *folder, name string) error {
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if data, err = tokenizer.WithTokenLimit(name, data, f.maxTokens); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, name), data)
}

// writeConfigs writes the configurations as they were read, but for what the model is now.
func writeConfigs(dir string, f *folder) error {
	config, err := encodernet.TrainedConfig(f.dir, f.architecture())
	if err != nil {
		return err
	}
	for _, key := range []string{"num_labels", "sbert_ce_default_activation_function", "problem_type"} {
		delete(config, key)
	}
	config["id2label"] = json.RawMessage(`{"0": "LABEL_0"}`)
	config["label2id"] = json.RawMessage(`{"LABEL_0": 0}`)
	config["sentence_transformers"] = json.RawMessage(`{"activation_fn": "torch.nn.modules.linear.Identity"}`)
	if err := jsonfile.Write(filepath.Join(dir, encodernet.ConfigFile), config); err != nil {
		return err
	}
	own, err := readObject(filepath.Join(f.dir, tokenizer.ConfigFile))
	if errors.Is(err, fs.ErrNotExist) {
		own, err = f.plainTokenizerConfig(), nil
	}
	if err != nil {
		return err
	}
	own["model_max_length"] = f.maxTokens
	if err := jsonfile.Write(filepath.Join(dir, tokenizer.ConfigFile), own); err != nil {
		return err
	}
	return jsonfile.Write(filepath.Join(dir, retortJSON), map[string]any{
		"kind": "cross-encoder", "max_tokens": f.maxTokens, "base_model": baseModel(f),
	})
}

// baseModel is the model's name before Retort first trained it.
func baseModel(f *folder) string {
	var own struct {
		BaseModel string `json:"base_model"`
	}
	if err := jsonfile.Read(filepath.Join(f.dir, retortJSON), &own); err == nil && own.BaseModel != "" {
		return own.BaseModel
	}
	return modelcard.NameOf(f.dir)
}

// page is the model card.
func page(f *folder, facts [][2]string) modelcard.Page {
	base := baseModel(f)
	return modelcard.Page{
		BaseModel: base, Pipeline: "text-ranking", Title: base + ", a reranker trained by Retort",
		Tags: []string{"sentence-transformers", "cross-encoder", "reranker", "retort"},
		Summary: "A cross-encoder that scores how well a passage answers a query, " +
			"made as a teacher for the retriever of one corpus.",
		Sections: []modelcard.Section{
			{
				Heading: "Model", Text: "The licence of the base model holds for this model too.",
				Facts: [][2]string{
					{"Base model", base}, {"Pair", fmt.Sprintf("at most %d tokens", f.maxTokens)}, {"Score", "a logit, of any range"},
				},
			},
			{Heading: "Training", Facts: facts},
			{Heading: "Use in Python, with sentence-transformers", Code: pythonUse, Lang: "python"},
			{Heading: "Use in Go, with Retort", Code: goUse, Lang: "go"},
		},
	}
}

// The programs of the card name no folder of this machine.
const (
	pythonUse = `from sentence_transformers import CrossEncoder

model = CrossEncoder("path/to/this/folder")
print(model.predict([("how do I ...", "a passage"), ("how do I ...", "another one")]))`

	goUse = `model, err := crossencoder.Open(ctx, "path/to/this/folder", crossencoder.Options{})
if err != nil {
	return err
}
defer model.Close()
scores, err := model.Score(ctx, query, passages)`
)

// plainTokenizerConfig says no more than the class that a folder without tokenizer_config.json has.
func (f *folder) plainTokenizerConfig() map[string]any {
	return map[string]any{"tokenizer_class": f.config.Family().Tokenizer}
}

// readObject reads a JSON object whose members keep their bytes.
func readObject(path string) (map[string]any, error) {
	var members map[string]json.RawMessage
	if err := jsonfile.Read(path, &members); err != nil {
		return nil, err
	}
	object := make(map[string]any, len(members))
	for name, value := range members {
		object[name] = value
	}
	return object, nil
}
