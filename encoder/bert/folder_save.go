package bert

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/safetensors"
)

// retortConfig is retort_config.json: the length limits of the roles, where sentence-transformers has one a tower.
type retortConfig struct {
	QueryTokens   int `json:"query_tokens"`
	PassageTokens int `json:"passage_tokens"`
}

// saveFolder writes the model of f as a folder that sentence-transformers 5 and 6 load and ReadFolder reads: one tower as
// Transformer, Pooling, Normalize, two as a Router with the routes query and document. trained holds the weights of the
// towers that have changed, by their names in a BertModel; the file of another tower is copied byte by byte. The folder
// appears whole or not at all; dir must not exist, or be an empty folder or one that saveFolder wrote, which is replaced; it cannot be
// the one that the model was opened from.
//
// In sentence-transformers the length limit of a single tower is the larger one of the two roles'.
func saveFolder(dir string, f *Folder, trained map[*Tower][]safetensors.Tensor) error {
	if err := atomicfile.CheckFolder(dir, f.Dir, retortJSON); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	err := atomicfile.WriteFolder(dir, func(temporary string) error { return writeFolder(temporary, f, trained) })
	if err != nil {
		return fmt.Errorf("save model %s: %w", filepath.Clean(dir), err)
	}
	return nil
}

func writeFolder(dir string, f *Folder, trained map[*Tower][]safetensors.Tensor) error {
	if f.Shared() {
		tokens := max(f.Query.Tokens, f.Passage.Tokens)
		if err := writeTower(dir, f.Query.Tower, tokens, trained[f.Query.Tower]); err != nil {
			return err
		}
		if err := writeJSON(dir, modulesJSON, moduleList([]string{"", "1_Pooling", "2_Normalize"})); err != nil {
			return err
		}
		if err := writePooling(dir, "1_Pooling", "2_Normalize", f.Query.Tower); err != nil {
			return err
		}
	} else if err := writeRouter(dir, f, trained); err != nil {
		return err
	}
	if err := writeJSON(dir, retortJSON, retortConfig{f.Query.Tokens, f.Passage.Tokens}); err != nil {
		return err
	}
	return writeJSON(dir, sentenceTransformersJSON, map[string]any{
		"model_type":          "SentenceTransformer",
		"prompts":             map[string]string{"query": f.Query.Prompt, "document": f.Passage.Prompt},
		"default_prompt_name": nil,
		"similarity_fn_name":  "cosine",
	})
}

// The classes by the names that sentence-transformers 5 wrote and 6 still reads.
const (
	transformerClass = "sentence_transformers.models.Transformer"
	poolingClass     = "sentence_transformers.models.Pooling"
	normalizeClass   = "sentence_transformers.models.Normalize"
	routerClass      = "sentence_transformers.models.Router"
)

type moduleEntry struct {
	Index int    `json:"idx"`
	Name  string `json:"name"`
	Path  string `json:"path"`
	Type  string `json:"type"`
}

// moduleList lists Transformer, Pooling and Normalize.
func moduleList(paths []string) []moduleEntry {
	var list []moduleEntry
	for i, class := range []string{transformerClass, poolingClass, normalizeClass} {
		list = append(list, moduleEntry{i, fmt.Sprint(i), paths[i], class})
	}
	return list
}

func writeRouter(dir string, f *Folder, trained map[*Tower][]safetensors.Tensor) error {
	types, structure := map[string]string{}, map[string][]string{}
	for _, route := range []struct {
		name   string
		tower  *Tower
		tokens int
	}{{"query", f.Query.Tower, f.Query.Tokens}, {"document", f.Passage.Tower, f.Passage.Tokens}} {
		ids := []string{route.name + "_0_Transformer", route.name + "_1_Pooling", route.name + "_2_Normalize"}
		for i, class := range []string{transformerClass, poolingClass, normalizeClass} {
			types[ids[i]] = class
		}
		structure[route.name] = ids
		if err := writeTower(filepath.Join(dir, ids[0]), route.tower, route.tokens, trained[route.tower]); err != nil {
			return err
		}
		if err := writePooling(dir, ids[1], ids[2], route.tower); err != nil {
			return err
		}
	}
	if err := writeJSON(dir, modulesJSON, []moduleEntry{{0, "0", "", routerClass}}); err != nil {
		return err
	}
	return writeJSON(dir, routerJSON, map[string]any{
		"types":     types,
		"structure": structure,
		"parameters": map[string]any{
			"default_route": "document", "allow_empty_key": true,
		},
	})
}

// writePooling writes both forms of the mode: the booleans of sentence-transformers up to 5, and the newer one.
func writePooling(dir, pooling, normalize string, t *Tower) error {
	config := map[string]any{
		"word_embedding_dimension":          t.Config.HiddenSize,
		"pooling_mode_cls_token":            t.Pooling == CLS,
		"pooling_mode_mean_tokens":          t.Pooling == Mean,
		"pooling_mode_max_tokens":           false,
		"pooling_mode_mean_sqrt_len_tokens": false,
		"include_prompt":                    true,
	}
	if err := writeJSON(filepath.Join(dir, pooling), configJSON, config); err != nil {
		return err
	}
	// sentence-transformers 5 wants the folder, 6 reads its configuration where there is one.
	return writeJSON(filepath.Join(dir, normalize), configJSON, map[string]any{})
}

// writeTower writes the folder of a Transformer.
func writeTower(dir string, t *Tower, tokens int, trained []safetensors.Tensor) error {
	if err := writeJSON(dir, sentenceBERTJSON, map[string]any{"max_seq_length": tokens, "do_lower_case": t.lowerCase}); err != nil {
		return err
	}
	for _, file := range t.Tokenizer.files {
		if err := atomicfile.WriteBytes(filepath.Join(dir, file.name), file.data); err != nil {
			return err
		}
	}
	config, err := plainConfig(t)
	if err != nil {
		return err
	}
	if err := writeJSON(dir, configJSON, config); err != nil {
		return err
	}
	target := filepath.Join(dir, weightsFile)
	if trained == nil {
		return atomicfile.Copy(target, filepath.Join(t.Dir, weightsFile))
	}
	trained, err = withPooler(t, trained)
	if err != nil {
		return err
	}
	return atomicfile.Write(target, func(w io.Writer) error {
		return safetensors.Write(w, trained, map[string]string{"format": "pt"})
	})
}

// plainConfig returns config.json as it was read, but for what a BertModel of float32 weights is called.
func plainConfig(t *Tower) (map[string]json.RawMessage, error) {
	var config map[string]json.RawMessage
	if err := jsonfile.Read(filepath.Join(t.Dir, configJSON), &config); err != nil {
		return nil, err
	}
	config["architectures"] = json.RawMessage(`["BertModel"]`)
	return config, nil
}

// withPooler adds the pooler that the tower came with. No embedding reads it, but a BertModel without one gets a random
// one, and a warning.
func withPooler(t *Tower, trained []safetensors.Tensor) ([]safetensors.Tensor, error) {
	w, err := t.openWeights()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	for _, name := range w.File.Names() {
		plain := strings.TrimPrefix(name, w.Prefix)
		if !strings.HasPrefix(plain, "pooler.") {
			continue
		}
		shape, values, err := w.File.Tensor(name)
		if err != nil {
			return nil, err
		}
		trained = append(trained[:len(trained):len(trained)], safetensors.Tensor{Name: plain, Shape: shape, Values: values})
	}
	return trained, nil
}

func writeJSON(dir, name string, v any) error { return jsonfile.Write(filepath.Join(dir, name), v) }
